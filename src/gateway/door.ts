import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { ListenOptions } from 'node:net';
import { Refusal, sendRefusal } from './refusal.ts';

/** Where one cell comes in. */
export interface Door {
  /** The Unix socket that is this cell's alone: whoever can open it is the cell. Mode 600. */
  socketPath: string;
  /** For a cell that shares the network of the host. */
  loopback: { port: number; token: string };
}

/** Answers a request. `gone` is aborted when the client leaves, or the door is closed. */
export type Answer = (request: IncomingMessage, response: ServerResponse, gone: AbortSignal) => Promise<void>;

/** An open door. Closing it ends every request, and waits until each is settled; it may be done twice. */
export interface OpenDoor extends AsyncDisposable {
  readonly door: Door;
}

/** Requests of one cell at once, beyond which connections are refused: an agent has a few. */
const mostConnections = 64;

/**
 * Opens the door of a cell: a Unix socket, and a port on loopback. On the port anybody of the host can knock, so it takes a
 * token that only the cell was given.
 */
export async function openDoor(socketPath: string, answer: Answer): Promise<OpenDoor> {
  await using stack = new AsyncDisposableStack();
  const token = randomBytes(32).toString('base64url');
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  const handle =
    (mayEnter: (request: IncomingMessage) => boolean) => (request: IncomingMessage, response: ServerResponse) => {
      if (!mayEnter(request))
        return sendRefusal(response, new Refusal('unauthorized', 'this is the door of another cell'));
      const done = answer(request, response, goneSignal(response, closing.signal)).finally(() => underWay.delete(done));
      underWay.add(done);
    };
  // First nobody comes in any more, then whoever is in has to go.
  stack.defer(() => Promise.allSettled(underWay).then(() => undefined));
  stack.defer(() => closing.abort(new Error('the cell is closed')));

  // A socket that lies there is what a gateway left that was killed: a cell has one gateway.
  await rm(socketPath, { force: true });
  stack.defer(() => rm(socketPath, { force: true }));
  await listen(
    stack,
    handle(() => true),
    { path: socketPath },
  );
  const tcp = await listen(
    stack,
    handle((request) => sameToken(tokenOf(request), token)),
    { host: '127.0.0.1', port: 0 },
  );
  const address = tcp.address();
  // A TCP server that listens has an address object.
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const owned = stack.move();
  return {
    door: { socketPath, loopback: { port, token } },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function listen(
  stack: AsyncDisposableStack,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  where: ListenOptions,
): Promise<Server> {
  // A body of 8 MiB comes from the same machine.
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 20_000 }, handle);
  server.maxConnections = mostConnections;
  // OpenCode keeps connections for its next step; one that closes just then would look like a fault of the provider.
  server.keepAliveTimeout = 0;
  // The socket is made within this call, and nothing else is: the mode of what others make is theirs.
  const before = process.umask(0o177);
  try {
    server.listen(where);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
  stack.defer(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return server;
}

function goneSignal(response: ServerResponse, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const leave = () => controller.abort(new Error('the client has gone'));
  const close = () => controller.abort(closing.reason);
  closing.addEventListener('abort', close, { once: true });
  if (closing.aborted) close();
  response.once('close', () => {
    closing.removeEventListener('abort', close);
    if (!response.writableFinished) leave();
  });
  return controller.signal;
}

/** As a client of OpenAI sends it, or as one of Anthropic. */
function tokenOf({ headers }: IncomingMessage): string {
  const key = headers['x-api-key'];
  return typeof key === 'string' ? key : (headers.authorization ?? '').replace(/^Bearer /, '');
}

/** In a time that says nothing about how much of it is right. */
function sameToken(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(wanted)];
  return one.length === other.length && timingSafeEqual(one, other);
}
