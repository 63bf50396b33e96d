import { Readable, type Writable } from 'node:stream';
import type Dockerode from 'dockerode';
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
  /** Settles when it has ended and the engine has nothing of it any more. */
  exit: Promise<ContainerExit>;
  /** Ends it at once. Idempotent; `exit` says when it is over. */
  kill(): Promise<void>;
}

export interface ContainerExit {
  /** Null where a signal ended it, or nobody can say. */
  exitCode: number | null;
  /** Whether the kernel ended its first command for its memory. */
  outOfMemory: boolean;
}

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
  const watch = await watchMemory(engine, container.id);
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
    kill: () => removeContainer(container),
  };
}

/** Ends a container and removes it, and waits until the engine has nothing of it. Idempotent. */
export async function removeContainer(container: Dockerode.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (statusOf(error) === 404) return;
    // It removes it already.
    if (statusOf(error) !== 409) throw error;
    await container.wait({ condition: 'removed' }).catch(unlessAbsent);
  }
}

async function endOf(removed: Promise<unknown>, watch: MemoryWatch): Promise<ContainerExit> {
  const answer = await removed.catch(() => null);
  watch.end();
  const status = typeof answer === 'object' && answer !== null && 'StatusCode' in answer ? answer.StatusCode : null;
  if (typeof status !== 'number') return { exitCode: null, outOfMemory: false };
  const ended = status > bySignal && status <= bySignal + lastSignal;
  return { exitCode: ended ? null : status, outOfMemory: watch.wasShort() && status === bySignal + kill };
}

interface MemoryWatch {
  wasShort(): boolean;
  end(): void;
}

/** Listens for the engine's word that the kernel ended a process of a container for its memory: the container is gone too soon to be asked. */
async function watchMemory(engine: Engine, id: string): Promise<MemoryWatch> {
  const filters = { container: [id], event: ['oom'] };
  const events = await engine.getEvents({ filters });
  let short = false;
  events.on('data', () => (short = true));
  events.on('error', () => undefined);
  return { wasShort: () => short, end: () => hangUp(events) };
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
