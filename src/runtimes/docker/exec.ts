import { setTimeout as delay } from 'node:timers/promises';
import { endOf, openAnew } from '../process-exec.ts';
import { recordOutput } from '../record-output.ts';
import type { Command, ExecResult } from '../runtime.ts';
import type { AttachedContainer } from './attached.ts';
import { unlessHung } from './unless-hung.ts';

/** How a command runs in a container of its own. */
export interface ContainerExecTerms {
  start(signal: AbortSignal): Promise<AttachedContainer>;
  /** Settles, and does not reject, when an earlier run of the same name is over. */
  earlier: Promise<unknown>;
  /** Ends what there is of runs of this name: this one, others here, those of an earlier worker. */
  endRuns(): Promise<void>;
  outputLimitBytes: number;
}

/** How often an earlier run is ended that does not go, milliseconds. */
const againMs = 100;

/** Runs a command to its end, and all that it started. See `CellRuntime.exec`. */
export async function runInContainer(
  command: Command,
  terms: ContainerExecTerms,
  signal: AbortSignal,
): Promise<ExecResult> {
  signal.throwIfAborted();
  const over = terms.earlier.then(() => true);
  // Again and again, since an earlier run may be just about to start its container.
  do {
    signal.throwIfAborted();
    await unlessHung(terms.endRuns(), signal);
  } while (!(await Promise.race([over, delay(againMs, false)])));
  await using log = await openAnew(command.logFile);
  const container = await terms.start(signal);
  const startedAt = performance.now();
  const recording = recordOutput(container.output, log, terms.outputLimitBytes);
  const ending = await endOf(container, recording, command.timeoutMs, signal);
  const durationMs = Math.round(performance.now() - startedAt);
  if (ending !== 'exited') await unlessHung(terms.endRuns(), signal);
  const [exit, output] = await unlessHung(Promise.all([container.exit, recording]), signal);
  if (ending === 'aborted') signal.throwIfAborted();
  const timedOut = ending === 'timed out';
  if (exit.kind === 'lost' && !timedOut) {
    // What it goes on to do, and how that ends, nobody would learn.
    await unlessHung(terms.endRuns(), signal);
    throw new Error(`the engine was lost while ${command.command[0]} ran for cell ${command.cellId}`, {
      cause: exit.cause,
    });
  }
  const [exitCode, outOfMemory] = exit.kind === 'lost' ? [null, false] : [exit.exitCode, exit.outOfMemory];
  return {
    exitCode: timedOut ? null : exitCode,
    timedOut,
    durationMs,
    // What it left behind ended with it, uncounted.
    leftovers: 0,
    outputBytes: output.bytes,
    outputBytesLeftOut: output.leftOut,
    ...(outOfMemory ? { outOfMemory } : {}),
  };
}
