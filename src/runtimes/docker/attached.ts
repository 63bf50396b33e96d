import { Readable, type Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import pWaitFor from 'p-wait-for';
import { type ProcessIdentity, startTimeOf } from '../processes.ts';
import { type Engine, statusOf, unlessAbsent } from './client.ts';
import { beginning } from './first-process.ts';

/** A container that this process keeps: when this process ends, in whatever way, so does it. */
export interface AttachedContainer {
  id: string;
  /** Of its first process, as the host sees it. */
  identity: ProcessIdentity;
  /** What it writes. Ends with it. */
  output: Readable;
  /** Settles, and does not reject, when it has ended and the engine has nothing of it any more, or when the engine is lost. */
  exit: Promise<ContainerExit>;
}

export type ContainerExit =
  | {
      kind: 'exited';
      /** Null where a signal ended it. */
      exitCode: number | null;
      /** Whether the kernel ended its first command for its memory. */
      outOfMemory: boolean;
    }
  /** The engine does not say any more how it ends, or whether it has: it may live on, and nobody reads what it writes. */
  | { kind: 'lost'; cause: unknown };

/** What an engine that ends in order says of a container comes within this time after it has hung up, milliseconds. */
const lastWordMs = 2_000;

/** The engine removes a container that it has begun to remove within this time, milliseconds. */
const removalMs = 30_000;

/** A shell answers this, and the number of the signal, for a command that one ended; so does the engine for a container. */
const bySignal = 128;
const lastSignal = 64;
const kill = 9;

/**
 * Makes a container, attaches to it, and lets its command begin once it is known by its process. What fails on the way leaves none.
 *
 * @throws when the engine refuses; the message has its words
 */
export async function startAttached(
  engine: Engine,
  options: Dockerode.ContainerCreateOptions,
  signal: AbortSignal,
): Promise<AttachedContainer> {
  const container = await engine.createContainer(options);
  await using undone = new AsyncDisposableStack();
  // What cannot be removed now is found by its labels; what went wrong before is the error to tell.
  undone.defer(() => removeContainer(container).catch(() => undefined));
  signal.throwIfAborted();
  const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  undone.defer(() => hangUp(stream));
  const watch = await watchEvents(engine, container.id);
  undone.defer(() => watch.end());
  // Asked before it starts: then no end can be missed.
  const removed = container.wait({ condition: 'removed' });
  removed.catch(() => undefined);
  signal.throwIfAborted();
  await container.start();
  const { State } = await container.inspect();
  const startTime = startTimeOf(State.Pid);
  if (State.Pid === 0 || startTime === null)
    throw new Error(
      'its first process is not seen from here: the engine is on another machine, or this is a container',
    );
  signal.throwIfAborted();
  // Written at once: there is room for it in any pipe.
  stream.write(beginning);
  undone.move();
  const exit = endOf(removed, watch).finally(() => hangUp(stream));
  return {
    id: container.id,
    identity: { pid: State.Pid, startTime },
    output: Readable.from(outputOf(stream), { objectMode: false }),
    exit,
  };
}

/** Ends a container and removes it, and waits until the engine has nothing of it. Idempotent. */
export async function removeContainer(container: Dockerode.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (statusOf(error) === 404) return;
    // It removes it already. To wait for its word would be to wait for ever where it is lost meanwhile.
    if (statusOf(error) !== 409) throw error;
    const isGone = async () => (await container.inspect().catch(unlessAbsent)) === null;
    await pWaitFor(isGone, { interval: 50, timeout: removalMs });
  }
}

async function endOf(removed: Promise<unknown>, watch: EventWatch): Promise<ContainerExit> {
  const told = removed.then(
    (answer) => exitIn(answer, watch),
    (cause: unknown): ContainerExit => ({ kind: 'lost', cause }),
  );
  const exit = await Promise.race([told, watch.lost.then(() => Promise.race([told, silent()]))]);
  watch.end();
  return exit;
}

/** The client of the engine says nothing at all of an answer that was cut off in the middle. */
async function silent(): Promise<ContainerExit> {
  await delay(lastWordMs);
  return { kind: 'lost', cause: new Error('the engine has hung up') };
}

function exitIn(answer: unknown, watch: EventWatch): ContainerExit {
  const status = typeof answer === 'object' && answer !== null && 'StatusCode' in answer ? answer.StatusCode : null;
  if (typeof status !== 'number') return { kind: 'lost', cause: new Error('the engine did not say how it ended') };
  const ended = status > bySignal && status <= bySignal + lastSignal;
  const outOfMemory = watch.wasShort() && status === bySignal + kill;
  return { kind: 'exited', exitCode: ended ? null : status, outOfMemory };
}

interface EventWatch {
  /** Whether the kernel ended a process of the container for its memory: the container is gone too soon to be asked. */
  wasShort(): boolean;
  /** Settles when the engine hangs up, which it does only when it ends. */
  lost: Promise<void>;
  end(): void;
}

async function watchEvents(engine: Engine, id: string): Promise<EventWatch> {
  const filters = { container: [id], event: ['oom'] };
  const events = await engine.getEvents({ filters });
  let short = false;
  const lost = Promise.withResolvers<void>();
  events.on('data', () => (short = true));
  events.on('error', () => undefined);
  events.on('close', lost.resolve);
  return { wasShort: () => short, lost: lost.promise, end: () => hangUp(events) };
}

function hangUp(stream: NodeJS.ReadableStream | Writable): void {
  if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
}

/** The engine puts eight bytes before each piece: which of the streams it is of, and its length in the last four. */
const headerBytes = 8;

async function* outputOf(stream: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  /** How much of the piece that was begun is still to come. */
  let due = 0;
  // No encoding was set, so the chunks are buffers.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length > 0) {
      if (due === 0) {
        if (rest.length < headerBytes) break;
        due = rest.readUInt32BE(4);
        rest = rest.subarray(headerBytes);
      }
      const piece = rest.subarray(0, due);
      if (piece.length > 0) yield piece;
      due -= piece.length;
      rest = rest.subarray(piece.length);
      if (due > 0) break;
    }
  }
}
