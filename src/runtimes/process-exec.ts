import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { endProcesses } from './end-processes.ts';
import { closeWriter, openOutputPipe } from './output-pipe.ts';
import { isSame, type ProcessEntry } from './processes.ts';
import { type RecordedOutput, recordOutput } from './record-output.ts';
import type { Command, ExecResult } from './runtime.ts';
import { type DetachedProcess, spawnDetached } from './spawn-detached.ts';

/** How a command runs: with which environment, what belongs to it, and its limits. */
export interface ExecTerms {
  /** With the markers in it. */
  env: Record<string, string>;
  /** Whether a process carries the markers of this run. */
  isOurs: (process: ProcessEntry) => boolean;
  graceMs: number;
  outputLimitBytes: number;
}

/** A longer timer fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** How long output is awaited from a process that shed its markers and holds the pipe open. */
const lastOutputMs = 1000;

/** Runs a command to its end, and ends all that it started. See `CellRuntime.exec`. */
export async function runCommand(command: Command, terms: ExecTerms, signal: AbortSignal): Promise<ExecResult> {
  signal.throwIfAborted();
  await endProcesses(terms.isOurs, terms.graceMs);
  await using log = await openAnew(command.logFile);
  const pipe = await openOutputPipe(command.logFile);
  using reading = new DisposableStack();
  reading.defer(() => pipe.reader.destroy());
  const startedAt = performance.now();
  const main = await spawnDetached(command, terms.env, pipe.writer).finally(() => closeWriter(pipe));
  const recording = recordOutput(pipe.reader, log, terms.outputLimitBytes);
  const ending = await endOf(main, recording, command.timeoutMs, signal);
  const durationMs = Math.round(performance.now() - startedAt);
  const ended = await endProcesses((process) => terms.isOurs(process) || isSame(process, main.identity), terms.graceMs);
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

/** A run begins its output anew: what an earlier attempt of it wrote says nothing about this one. */
async function openAnew(logFile: string): Promise<FileHandle> {
  const log = await open(logFile, 'w', 0o600);
  await log.chmod(0o600);
  return log;
}

type Ending = 'exited' | 'timed out' | 'aborted' | 'output lost';

/** What happens first. Each of the others is forgotten. */
async function endOf(
  main: DetachedProcess,
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
