import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Door } from '../../../src/gateway/door.ts';
import { ask, chat, routeTo, startGateway, startProvider } from '../../support/gateway.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a cell that asks for much at once', () => {
  test('has 64 requests inside, also where they come by one connection, and one more is refused', async () => {
    await using it = await stageWaiting();
    const { cellId, door } = await it.place.open([routeTo(it.provider.url)]);
    const socket = connectTo(door);
    let said = '';
    socket.on('data', (chunk) => (said += chunk.toString()));
    socket.write(requestText().repeat(63) + requestText('Connection: close\r\n'));
    await waitUntil(() => it.place.account(cellId).active === 64);
    const refused = await ask(door, chat('talks'));
    expect([refused.status, refused.text]).toEqual([429, expect.stringContaining('"too_many_requests"')]);
    expect(it.place.account(cellId).active).toBe(64);
    it.release();
    await once(socket, 'close');
    expect(said.match(/HTTP\/1\.1 200/g)).toHaveLength(64);
    expect((await ask(door, chat('talks'))).status).toBe(200);
  });

  test('has nothing inside any more when it leaves a connection with several requests', async () => {
    await using it = await stageWaiting();
    const { cellId, door } = await it.place.open([routeTo(it.provider.url)]);
    const socket = connectTo(door);
    socket.write(requestText().repeat(3));
    await waitUntil(() => it.place.account(cellId).active === 3);
    socket.destroy();
    await waitUntil(() => it.place.account(cellId).active === 0);
    expect(it.provider.requests).toHaveLength(1);
  });

  test('has 64 MiB of requests inside, and the one that would go beyond is refused', async () => {
    await using it = await stageWaiting();
    const { door } = await it.place.open([routeTo(it.provider.url)], 1_000_000_000);
    const filler = 'x'.repeat(7.5 * 1024 * 1024);
    const answers = Array.from({ length: 9 }, () => ask(door, chat('talks', { filler })));
    const first = await Promise.race(answers);
    expect([first.status, first.text]).toEqual([429, expect.stringContaining('"too_many_requests"')]);
    it.release();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    expect((await ask(door, chat('talks', { filler }))).status).toBe(200);
  });
});

/** A gateway before a provider that answers nobody until it is told to. */
async function stageWaiting() {
  await using stack = new AsyncDisposableStack();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const provider = stack.use(
    await startProvider((_, response) => {
      const answer = '{"usage":{"prompt_tokens":1,"completion_tokens":1}}';
      void released.then(() => response.writeHead(200, { 'content-type': 'application/json' }).end(answer));
    }),
  );
  const place = stack.use(await startGateway());
  const owned = stack.move();
  return { provider, place, release, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function connectTo(door: Door): Socket {
  if (door.kind !== 'socket') throw new Error('a socket was asked for');
  return connect(door.path).on('error', () => undefined);
}

/** A request as it is on the wire, for several by one connection. */
function requestText(header = ''): string {
  const body = JSON.stringify(chat('talks', { stream: false }));
  const head = `POST /scripted/v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Length: ${body.length}\r\n`;
  return `${head}${header}\r\n${body}`;
}
