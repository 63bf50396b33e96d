import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { followEvents } from '../../../src/opencode/events.ts';
import { connectServer, within } from '../../../src/opencode/server.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** A server that is stopped takes connections and answers nothing; one that is stopped later has begun to. */
describe('a request to a server that hangs', () => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/session')) response.writeHead(200, { 'content-type': 'application/json' }).write('[');
  });
  let port: number;

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ({ port } = server.address() as AddressInfo); // a TCP server that listens has one
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const client = () => connectServer({ port, password: 'x', worktree: '/tmp' });

  test('ends at its limit, though the garbage is collected meanwhile', async () => {
    const { signal } = new AbortController();
    const requests = [
      client().global.health(within(signal, 500)),
      client().session.list(undefined, within(signal, 500)),
    ].map((request) => request.then((answer) => answer.error, String));
    const errors = await whileCollecting(Promise.all(requests));
    expect(errors.map(String)).toEqual([expect.stringContaining('timeout'), expect.stringContaining('timeout')]);
  });

  test('ends with its caller, as does the stream of events', async () => {
    const caller = new AbortController();
    const work = Promise.all([
      client()
        .session.status(undefined, within(caller.signal))
        .then(
          () => 'ended',
          () => 'ended',
        ),
      followEvents(client(), { opened: () => undefined, event: () => undefined }, caller.signal),
    ]);
    for (let round = 0; round < 5; round += 1) {
      await delay(50);
      collectGarbage();
    }
    caller.abort();
    expect((await whileCollecting(work))[0]).toBe('ended');
  });
});

async function whileCollecting<Value>(work: Promise<Value>): Promise<Value> {
  const timer = setInterval(collectGarbage, 50);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
