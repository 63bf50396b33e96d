import { realpath } from 'node:fs/promises';
import { type OpencodeClient, createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { boundedAnswer, boundedEvents } from './bounded-answer.ts';

/** How a cell's server is reached. */
export interface ServerAddress {
  port: number;
  password: string;
  worktree: string;
  /** Where the server runs, unless that is the worktree: one that was booted ahead has a directory of its own. */
  directory?: string | undefined;
}

/** The server behind this address is not the cell's, or not well. */
export class ServerUnhealthy extends Error {
  override readonly name = 'ServerUnhealthy';
}

/** A server answers a request within this time or counts as hung, milliseconds. */
const answerLimit = 10_000;

/** A client of one cell's server. Nothing is sent before the first request. */
export function connectServer(address: ServerAddress): OpencodeClient {
  return clientOf(address, { directory: address.worktree });
}

function clientOf({ port, password }: ServerAddress, place: { directory?: string } = {}): OpencodeClient {
  return createOpencodeClient({
    ...place,
    baseUrl: `http://127.0.0.1:${port}`,
    headers: { Authorization: `Basic ${Buffer.from(`opencode:${password}`).toString('base64')}` },
  });
}

/** What ends one request of a client. */
export interface RequestEnd {
  signal: AbortSignal;
  fetch: typeof fetch;
}

/** Ends one request: with the caller, at a limit on the answer in milliseconds, and at `largestAnswer`. */
export function within(signal: AbortSignal, milliseconds: number = answerLimit): RequestEnd {
  return endingWith(AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]), boundedAnswer);
}

/** Ends the stream of events: with the caller, and at `largestEvent`. */
export function followingWith(signal: AbortSignal): RequestEnd {
  return endingWith(signal, boundedEvents);
}

/**
 * Ends one request with its signal, whatever happens. The SDK makes requests and copies of them, which hold on to the signal
 * weakly: after the next garbage collection neither a limit nor a caller would end them. So it is given to fetch itself.
 */
function endingWith(signal: AbortSignal, bounded: (response: Response) => Response): RequestEnd {
  return { signal, fetch: async (input, init) => bounded(await fetch(input, { ...init, signal })) };
}

/**
 * Proves that the server at this address is ours and can work: it refuses a stranger, takes our password,
 * has understood its configuration, and runs where we started it. Answers its version.
 *
 * @throws ServerUnhealthy saying which proof failed.
 */
export async function proveServer(address: ServerAddress, signal: AbortSignal): Promise<string> {
  await refusesStrangers(address.port, signal);
  const version = await checkHealth(address, signal);
  await openDirectory(address, signal);
  // Without the header by which a client says where it works: the server has to name its own directory.
  const path = await clientOf(address).path.get(undefined, within(signal));
  const directory = path.data?.directory ?? 'no directory';
  if (directory !== (await realpath(address.directory ?? address.worktree)))
    throw unhealthy(address, `works in ${directory}`, path.error);
  return version;
}

/** Asks the server how it is. Answers its version. @throws ServerUnhealthy when it does not take our password. */
export async function checkHealth(address: ServerAddress, signal: AbortSignal): Promise<string> {
  const health = await clientOf(address).global.health(within(signal));
  if (!health.data?.healthy) throw unhealthy(address, 'does not take our password', health.error);
  return health.data.version;
}

/**
 * Has the server load what it needs to work in the worktree, with the configuration that stands there now.
 *
 * @throws ServerUnhealthy when it does not take our password, or refuses its configuration.
 */
export async function openDirectory(address: ServerAddress, signal: AbortSignal): Promise<void> {
  const config = await connectServer(address).config.get(undefined, within(signal, 30_000));
  if (!config.data) throw unhealthy(address, 'refuses its configuration', config.error);
}

async function refusesStrangers(port: number, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/global/health`, { signal: within(signal).signal }).catch(
    (error: unknown) => {
      throw new ServerUnhealthy(`nothing answers on port ${port}`, { cause: error });
    },
  );
  await answer.body?.cancel();
  if (answer.status !== 401)
    throw new ServerUnhealthy(`the server on port ${port} answers without a password (${answer.status})`);
}

function unhealthy({ port }: ServerAddress, what: string, cause: unknown): ServerUnhealthy {
  const detail = cause === undefined ? '' : `: ${describeError(cause)}`;
  return new ServerUnhealthy(`the server on port ${port} ${what}${detail}`, { cause });
}

/** What an error of the SDK says, which may be an Error, a JSON body, or a text; of what the server wrote the first 1000 characters. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message;
  return (typeof error === 'string' ? error : JSON.stringify(error)).slice(0, 1000);
}
