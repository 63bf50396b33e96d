import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { connect } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pWaitFor from 'p-wait-for';
import { Agent, request } from 'undici';
import { version } from '../domain/version.ts';
import { PortTaken } from '../runtimes/port-holder.ts';
import {
  type LaunchOptions,
  type SupervisorInfo,
  type WireError,
  apiVersion,
  callHeader,
  socketOf,
} from './protocol.ts';

/** How often an end is asked for while the supervisor still counts us as a worker. */
const stopTries = 10;
/** How often a call is cancelled until it is over, milliseconds. */
const cancelEvery = 500;
/** A supervisor answers its first question within this time, milliseconds; on a machine with much else to do it takes many seconds. */
const startLimit = 60_000;

/** The supervisor of a state directory, as its workers see it. */
export interface SupervisorClient extends AsyncDisposable {
  info(): Promise<SupervisorInfo>;
  /** Asks for something. A supervisor that has ended is started again first. Rejects with the error that it answers. */
  call<Answer>(path: string, body: unknown): Promise<Answer>;
  /** The same, for what takes long: when the signal aborts, the supervisor ends it, and only then this rejects with the reason. */
  callUntil<Answer>(path: string, body: unknown, signal: AbortSignal): Promise<Answer>;
  /** Asks it to end. Answers false when cells or other workers need it, and `force` is not set. */
  stop(options?: { force?: boolean }): Promise<boolean>;
}

export interface ConnectOptions extends LaunchOptions {
  /**
   * When this worker goes, in whatever way, and no other is attached, the supervisor ends and every cell with it: for a Temporal
   * server that forgets its cells then. Default: false.
   */
  endsWithWorkers?: boolean;
}

interface AskOptions {
  signal?: AbortSignal;
  /** Names the call, so that it can be cancelled. */
  call?: string;
}

/** The supervisor answered with an error that has no class of ours. */
export class SupervisorError extends Error {
  override readonly name = 'SupervisorError';
}

/**
 * Finds the supervisor of a state directory, or starts it, and stays attached until it is disposed. One of another version that keeps
 * no cell and serves no worker is replaced.
 */
export async function connectSupervisor(
  stateDirectory: string,
  { endsWithWorkers = false, ...launch }: ConnectOptions = {},
): Promise<SupervisorClient> {
  const socketPath = socketOf(stateDirectory);
  // The agent's own limits would end a test command after five minutes.
  const agent = new Agent({ connect: { socketPath }, headersTimeout: 0, bodyTimeout: 0 });
  const url = (path: string) => `http://supervisor/v${apiVersion}${path}`;
  const detached = new AbortController();
  let starting: Promise<void> | null = null;

  const ask = async <Answer>(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    options: AskOptions = {},
  ): Promise<Answer> => {
    const response = await request(url(path), {
      method,
      dispatcher: agent,
      headers: { 'content-type': 'application/json', ...(options.call ? { [callHeader]: options.call } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const answer = await response.body.json();
    if (response.statusCode >= 400) throw errorOf(answer as WireError); // the API answers every error so
    return answer as Answer; // both ends are built from one protocol file, and its version is in the path
  };
  const askAgain = async <Answer>(
    path: string,
    body: unknown,
    options?: AskOptions & { unless?: AbortSignal },
  ): Promise<Answer> => {
    try {
      return await ask('POST', path, body, options);
    } catch (error) {
      if (!isGone(error)) throw error;
      await ensure();
      options?.unless?.throwIfAborted();
      return ask('POST', path, body, options);
    }
  };
  const info = () => ask<SupervisorInfo>('GET', '/supervisor', undefined, { signal: AbortSignal.timeout(5_000) });

  const ensure = () =>
    (starting ??= start({ stateDirectory, ...launch }, { info, leave: () => ask('POST', '/stop', { force: false }) })
      .then(() => attach(agent, url(endsWithWorkers ? '/attach?ends=all' : '/attach'), detached.signal))
      .finally(() => (starting = null)));

  await ensure();
  return {
    info,
    call: (path, body) => askAgain(path, body),
    async callUntil(path, body, signal) {
      signal.throwIfAborted();
      const call = randomUUID();
      const over = new AbortController();
      // Again and again: one that arrives before the call is known, or while the supervisor is started again, is of no use.
      const cancel = async () => {
        while (!over.signal.aborted) {
          await ask('POST', '/cancel', { call }).catch(() => undefined);
          await sleep(cancelEvery, undefined, { signal: over.signal }).catch(() => undefined);
        }
      };
      const cancelling = () => void cancel();
      signal.addEventListener('abort', cancelling, { once: true });
      try {
        const answer = await askAgain(path, body, { call, unless: signal });
        // It was over before the supervisor heard of the cancellation.
        return answer as never; // the caller's `Answer`, see `ask`
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        over.abort();
        signal.removeEventListener('abort', cancelling);
      }
    },
    async stop({ force = false } = {}) {
      detached.abort();
      // It notices that this worker has gone a moment later.
      for (let attempt = 0; ; attempt += 1) {
        const refusal = await ask('POST', '/stop', { force }).then(
          () => null,
          (error: unknown) => error,
        );
        if (refusal === null || isGone(refusal)) return true;
        if (attempt === stopTries) return false;
        await sleep(50);
      }
    },
    async [Symbol.asyncDispose]() {
      detached.abort();
      await agent.destroy();
    },
  };
}

/** Whether a supervisor listens for a state directory. One that was just started does in a moment. */
export async function supervisorRuns(stateDirectory: string): Promise<boolean> {
  const socket = connect(socketOf(stateDirectory));
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

/**
 * Asks the supervisor of a state directory where one runs, as somebody who only looks: none is started, and it is kept from nothing.
 * Null where none answers.
 */
export async function askSupervisor<Answer>(
  stateDirectory: string,
  path: string,
  body: unknown,
): Promise<Answer | null> {
  const agent = new Agent({ connect: { socketPath: socketOf(stateDirectory) } });
  try {
    const { statusCode, body: answer } = await request(`http://supervisor/v${apiVersion}${path}`, {
      method: 'POST',
      dispatcher: agent,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    const parsed: unknown = await answer.json();
    return statusCode === 200 ? (parsed as Answer) : null; // both ends are built from one protocol file, see `ask`
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  } finally {
    await agent.destroy();
  }
}

type Launch = { stateDirectory: string } & LaunchOptions;

/** What is asked of the supervisor that is found. */
interface Found {
  info(): Promise<SupervisorInfo>;
  /** Ends it. Rejects where a cell or a worker needs it. */
  leave(): Promise<unknown>;
}

async function start(options: Launch, { info, leave }: Found): Promise<void> {
  const found = await info().catch(() => null);
  if (found !== null && !(await makesRoom(found, leave))) return;
  const answers = () =>
    info().then(
      ({ pid }) => pid !== found?.pid,
      () => false,
    );
  let child = await launch(options);
  const failed = () => (child.exitCode ?? 0) !== 0 || child.signalCode !== null;
  const up = async () => {
    if ((await answers()) || failed()) return true;
    // With 0 ours gives way to another one: to one that was faster and answers in a moment, or to one that is about to end.
    if (child.exitCode === 0) child = await launch(options);
    return false;
  };
  const log = join(options.stateDirectory, 'supervisor.log');
  const message = new SupervisorError(`the supervisor did not answer within ${startLimit / 1000} seconds; see ${log}`);
  await pWaitFor(up, { interval: 50, timeout: { milliseconds: startLimit, message } });
  if (failed() && !(await answers())) throw new SupervisorError(`the supervisor did not start; see ${log}`);
}

/** Whether a supervisor of another version ends, so that ours takes its place: it does when nobody needs it. */
async function makesRoom({ cells, workers, ...found }: SupervisorInfo, leave: Found['leave']): Promise<boolean> {
  if (found.version === version || cells.length > 0 || workers > 0) return false;
  return leave().then(
    () => true,
    // A cell or a worker may have come in between.
    isGone,
  );
}

/** MiB. What it handles lives for a request; left alone, the engine came to keep 146 MiB of heap for 20 in use. */
const engineFlags = ['--max-semi-space-size=4'];

/** In a session of its own, so that it outlives the worker and hears nothing of its terminal. */
async function launch(options: Launch): Promise<ChildProcess> {
  const { stateDirectory } = options;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  await using log = await open(join(stateDirectory, 'supervisor.log'), 'a', 0o600);
  const main = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
  const child = spawn(process.execPath, [...engineFlags, main, JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  child.once('error', () => undefined);
  child.unref();
  return child;
}

/** Holds a connection open for as long as this worker lives: by it the supervisor knows that it is needed. */
async function attach(agent: Agent, url: string, signal: AbortSignal): Promise<void> {
  const { body } = await request(url, { dispatcher: agent, signal });
  body.on('error', () => undefined);
  body.resume();
}

function errorOf({ name, message }: WireError): Error {
  return name === 'PortTaken' ? new PortTaken(message) : new SupervisorError(message);
}

/** Whether nobody listened, or went away before it answered. */
function isGone(error: unknown): boolean {
  const codes = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
