import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { HostCloses } from '../src/cell/close-cell.ts';

/** Well below the shortest heartbeat timeout, milliseconds. */
const interval = 3_000;

/**
 * Runs the work of an activity with heartbeats from a timer, so that a quiet agent does not count as a dead worker.
 * The signal given to the work aborts when the activity is cancelled, superseded, or its worker shuts down.
 */
export async function withHeartbeat<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  details: () => unknown = () => undefined,
): Promise<Result> {
  const context = Context.current();
  context.heartbeat(details());
  const timer = setInterval(() => context.heartbeat(details()), interval);
  try {
    return await work(context.cancellationSignal);
  } catch (error) {
    throw ofInterruption(error, context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}

/**
 * Work that is cut short throws whatever it was at: a request, a proof of health. To Temporal only its own failure is a cancellation, and any other
 * one would end the cell as failed. A failure that has a name already says what happened.
 */
function ofInterruption(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && !(error instanceof ApplicationFailure) ? signal.reason : error;
}

/** What the work was cut short for: to end, to be taken up by the next worker, or because another attempt has it. */
export type Interruption = 'ended' | 'worker-shutdown' | 'superseded';

/**
 * A worker that shuts down leaves the agent at work for the next attempt; an attempt that is no longer the current one
 * must not touch the cell at all. A cancellation, and a host that ends its cells, end it.
 */
export function interruptionOf(signal: AbortSignal): Interruption {
  const reason: unknown = signal.reason;
  if (reason instanceof HostCloses) return 'ended';
  const word = reason instanceof Error ? reason.message : String(reason);
  if (word === 'WORKER_SHUTDOWN') return 'worker-shutdown';
  return word === 'CANCELLED' || word === 'PAUSED' ? 'ended' : 'superseded';
}
