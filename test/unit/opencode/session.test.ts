import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { connectServer } from '../../../src/opencode/server.ts';
import { dropInterruptedStep } from '../../../src/opencode/session.ts';

const { signal } = new AbortController();

describe('the step that a session stands at', () => {
  test('is taken back when the session is idle, for its server died over it', async () => {
    await using server = await serverWith({ busyUntilRead: false });
    await dropInterruptedStep(server.client, 'session', signal);
    expect(server.deleted).toEqual(['/session/session/message/step']);
  });

  test('is left alone when the session ends it just while it is looked at', async () => {
    await using server = await serverWith({ busyUntilRead: true });
    await dropInterruptedStep(server.client, 'session', signal);
    expect(server.deleted).toEqual([]);
  });
});

/** A server with one session, whose last message is a step without an end: at work until it has been read, or idle. */
async function serverWith({ busyUntilRead }: { busyUntilRead: boolean }) {
  let busy = busyUntilRead;
  const deleted: string[] = [];
  const step = { info: { id: 'step', role: 'assistant', time: { created: 1 } }, parts: [] };
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (request.method === 'DELETE') {
      deleted.push(path);
      json(true);
    } else if (path === '/session/status') {
      json(busy ? { session: { type: 'busy' } } : {});
    } else {
      busy = false;
      json([step]);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    client: connectServer({ port, password: 'x', worktree: '/tmp' }),
    deleted,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}
