import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** A plain HTTP server in the place of a cell's own, for what that says only when its agent has changed it. */
export interface StandInServer extends AsyncDisposable {
  port: number;
}

/** @param answer to a method and a path; what is no response by then becomes one, as JSON */
export async function startStandInServer(
  answer: (request: string, response: ServerResponse) => unknown,
): Promise<StandInServer> {
  const server = createServer((request, response) => {
    const [path] = (request.url ?? '').split('?');
    const value = answer(`${request.method} ${path}`, response);
    if (value !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** An empty list that takes so many bytes, as far as they are taken. */
export function answerSpaciously(response: ServerResponse, bytes: number): void {
  response.setHeader('content-type', 'application/json');
  const spaces = Buffer.alloc(1024 ** 2, ' ');
  function* pieces() {
    yield '[';
    for (let left = bytes - 2; left > 0; left -= spaces.length) yield spaces.subarray(0, left);
    yield ']';
  }
  void pipeline(pieces(), response).catch(() => undefined);
}
