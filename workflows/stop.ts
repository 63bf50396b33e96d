import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/** Why a cell's work was cut short. A timeout and a cancellation look alike to an activity, so it is said here, first. */
export type StopReason = { kind: 'timeout' } | { kind: 'abort'; reason: string };

/** The work of a cell, which a deadline or an operator may cut short. */
export interface Stoppable {
  /** Set before the work is cancelled, and never changed. */
  reason: StopReason | null;
  /** Milliseconds since the epoch; null until the cell is spawned. May be moved later at any time. */
  deadline: number | null;
  /** Runs a part of the work in its scope; rejects with a cancellation when it was cut short. The clock ends with the part that started it. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  stop(reason: StopReason): void;
  /** Starts the clock: the work is stopped as `timeout` once the deadline has passed. */
  startClock(deadline: number): void;
}

export function createStoppable(): Stoppable {
  const work = new CancellationScope();
  let clock: CancellationScope | null = null;
  const stoppable: Stoppable = {
    reason: null,
    deadline: null,
    async run(body) {
      try {
        return await work.run(async () => {
          if (stoppable.reason !== null) work.cancel();
          return body();
        });
      } finally {
        clock?.cancel();
      }
    },
    stop(reason) {
      if (stoppable.reason !== null) return;
      stoppable.reason = reason;
      work.cancel();
    },
    startClock(deadline) {
      stoppable.deadline = deadline;
      // Made when it starts: the work runs in parts, and the end of an earlier one would have cancelled it.
      clock = new CancellationScope();
      void clock
        .run(() => watch(stoppable))
        .catch((error: unknown) => {
          if (!isCancellation(error)) throw error;
        });
    },
  };
  return stoppable;
}

/** An extension moves the deadline while the timer runs: the timer then fires early and is set again for the rest. */
async function watch(stoppable: Stoppable): Promise<void> {
  while (stoppable.deadline !== null && Date.now() < stoppable.deadline) {
    await sleep(stoppable.deadline - Date.now(), { summary: 'timeout of the cell' });
  }
  stoppable.stop({ kind: 'timeout' });
}
