import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcesses } from './end-processes.ts';
import type { Launch } from './launch.ts';
import { closeWriter, openOutputPipe } from './output-pipe.ts';
import { isSame, type ProcessEntry } from './processes.ts';
import { type RecordedOutput, recordOutput } from './record-output.ts';
import type { Command, ExecResult } from './runtime.ts';
import { spawnDetached } from './spawn-detached.ts';

/** How a command runs: as what, with which environment, what belongs to it, and its limits. */
export interface ExecTerms {
  /** With the markers in it. */
  env: Record<string, string>;
  /** Whether a process is marked as one of this run. */
  isOurs: (process: ProcessEntry) => boolean;
  /** Settles, and does not reject, when an earlier run of the same name is over: what it still clears away must not be this one's. */
  earlier: Promise<unknown>;
  /** The control group of this run; null where there are none. */
  group: RunGroup | null;
  /** Says what is started, once the group is there. */
  launch(): Promise<Launch>;
  graceMs: number;
  outputLimitBytes: number;
}

export interface RunGroup {
  kill(): Promise<void>;
  remove(): Promise<unknown>;
}

/** A longer timer fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** How long output is awaited from a process that shed its markers and holds the pipe open. */
const lastOutputMs = 1000;

/** How often an earlier run is ended that does not go, milliseconds. */
const againMs = 100;

/** Runs a command to its end, and ends all that it started. See `CellRuntime.exec`. */
export async function runCommand(command: Command, terms: ExecTerms, signal: AbortSignal): Promise<ExecResult> {
  signal.throwIfAborted();
  const { group, graceMs } = terms;
  await endEarlier(terms);
  await using log = await openAnew(command.logFile);
  await using entered = new AsyncDisposableStack();
  entered.defer(async () => void (await group?.remove()));
  const launch = await terms.launch();
  const pipe = await openOutputPipe(command.logFile);
  using reading = new DisposableStack();
  reading.defer(() => pipe.reader.destroy());
  const startedAt = performance.now();
  const main = await spawnDetached(command, launch, terms.env, pipe.writer, signal).finally(() => closeWriter(pipe));
  const recording = recordOutput(pipe.reader, log, terms.outputLimitBytes);
  const ending = await endOf(main, recording, command.timeoutMs, signal);
  const durationMs = Math.round(performance.now() - startedAt);
  const isOurs = (process: ProcessEntry) => terms.isOurs(process) || isSame(process, main.identity);
  const ended = await endProcesses(isOurs, graceMs, group?.kill);
  const exitCode = await main.exit;
  const output = await lastOf(recording, pipe.reader);
  if (ending === 'aborted') signal.throwIfAborted();
  const timedOut = ending === 'timed out';
  return {
    exitCode: timedOut ? null : exitCode,
    timedOut,
    durationMs,
    leftovers: timedOut ? Math.max(0, ended - 1) : ended,
    outputBytes: output.bytes,
    outputBytesLeftOut: output.leftOut,
  };
}

/** Again and again, since an earlier run may be just about to start its command. */
async function endEarlier({ earlier, isOurs, graceMs, group }: ExecTerms): Promise<void> {
  const over = earlier.then(() => true);
  do await endProcesses(isOurs, graceMs, group?.kill);
  while (!(await Promise.race([over, delay(againMs, false)])));
}

/** A run begins its output anew: what an earlier attempt of it wrote says nothing about this one. */
export async function openAnew(logFile: string): Promise<FileHandle> {
  const log = await open(logFile, 'w', 0o600);
  await log.chmod(0o600);
  return log;
}

export type Ending = 'exited' | 'timed out' | 'aborted' | 'output lost';

/** What happens first. Each of the others is forgotten. */
export async function endOf(
  main: { exit: Promise<unknown> },
  recording: Promise<RecordedOutput>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const aborted = () => resolve('aborted');
  const timer = setTimeout(() => resolve('timed out'), Math.min(timeoutMs, longestTimerMs));
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) aborted();
  void main.exit.then(() => resolve('exited'));
  // A disk that is full: the command would wait for ever to get rid of its output.
  recording.catch(() => resolve('output lost'));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', aborted);
  }
}

async function lastOf(recording: Promise<RecordedOutput>, reader: Readable): Promise<RecordedOutput> {
  const timer = setTimeout(() => reader.destroy(), lastOutputMs);
  try {
    return await recording;
  } finally {
    clearTimeout(timer);
  }
}
