import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import type { DoorPlan } from './grant.ts';
import { Refusal, sendRefusal } from './refusal.ts';

/** Where one cell comes in: by a Unix socket that is this cell's alone, mode 600, or by a port that takes its token. */
export type Door = { kind: 'socket'; path: string } | { kind: 'loopback'; port: number; token: string };

/** Answers a request. `gone` is aborted when the client leaves, or the door is closed. */
export type Answer = (request: IncomingMessage, response: ServerResponse, gone: AbortSignal) => Promise<void>;

/** An open door. Closing it ends every request, and waits until each is settled; it may be done twice. */
export interface OpenDoor extends AsyncDisposable {
  readonly door: Door;
}

/** Connections of one cell at once, beyond which more are refused: an agent has a few. */
const mostConnections = 64;

/**
 * Opens the door of a cell. Whoever can open the socket is the cell; on the port anybody of the host can knock, so it takes a
 * token that only the cell was given.
 *
 * @param refused hears of those who knocked without it
 */
export async function openDoor(
  plan: DoorPlan,
  answer: Answer,
  refused: (refusal: Refusal) => void = () => undefined,
): Promise<OpenDoor> {
  await using stack = new AsyncDisposableStack();
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();
  const enter = (request: IncomingMessage, response: ServerResponse) => {
    const done = answer(request, response, goneSignal(response, closing.signal)).finally(() => underWay.delete(done));
    underWay.add(done);
  };
  // First nobody comes in any more, then whoever is in has to go.
  stack.defer(() => Promise.allSettled(underWay).then(() => undefined));
  stack.defer(() => closing.abort(new Error('the cell is closed')));
  const door = plan.kind === 'socket' ? await openSocket(stack, plan, enter) : await openPort(stack, enter, refused);
  const owned = stack.move();
  return { door, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function openSocket(
  stack: AsyncDisposableStack,
  { path, uid }: Extract<DoorPlan, { kind: 'socket' }>,
  enter: Handler,
): Promise<Door> {
  await mkdir(dirname(path), { recursive: true });
  // The cell passes through it and changes nothing in it, whatever the mask of this process is.
  await chmod(dirname(path), 0o755);
  // A socket that lies there is what a gateway left that was killed: a cell has one gateway.
  await rm(path, { force: true });
  stack.defer(() => rm(path, { force: true }));
  await listen(stack, enter, { path });
  // Above it is a directory of the cell, which nobody else enters. A mask for the moment would go for all that other threads make, too.
  await chmod(path, 0o600);
  if (uid !== undefined) await chown(path, uid, uid);
  return { kind: 'socket', path };
}

async function openPort(
  stack: AsyncDisposableStack,
  enter: Handler,
  refused: (refusal: Refusal) => void,
): Promise<Door> {
  const token = randomBytes(32).toString('base64url');
  const server = await listen(
    stack,
    (request, response) => {
      if (sameToken(tokenOf(request), token)) return enter(request, response);
      const refusal = new Refusal('unauthorized', 'this is the door of another cell');
      refused(refusal);
      sendRefusal(response, refusal);
    },
    { host: '127.0.0.1', port: 0 },
  );
  const address = server.address();
  // A TCP server that listens has an address object.
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { kind: 'loopback', port, token };
}

async function listen(stack: AsyncDisposableStack, handle: Handler, where: ListenOptions): Promise<Server> {
  // A body of 8 MiB comes from the same machine.
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 20_000 }, handle);
  server.maxConnections = mostConnections;
  // OpenCode keeps connections for its next step; one that closes just then would look like a fault of the provider.
  server.keepAliveTimeout = 0;
  server.listen(where);
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
