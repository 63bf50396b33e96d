import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from '@temporalio/worker';
import type { CellHost } from '../cell/host.ts';
import type { IsOpen } from '../cell/reaper.ts';
import { type StopPlan, settleCells } from './stop-plan.ts';

/** The parts of a worker, by the queue that each serves. */
export interface Workers {
  workflows: Worker;
  claims: Worker;
  steps: Worker;
}

export interface Serving {
  /** Ends the worker by its plan. */
  signal: AbortSignal;
  stop: StopPlan;
  /** Whether the run of a cell goes on. */
  isOpen: IsOpen;
  /** Called once the queues are served. */
  ready: () => void;
}

/**
 * How long the plan waits for the last claims, milliseconds. They take a moment; a poll that the server does not end would
 * last a minute.
 */
const lastClaims = 3_000;

/** Serves all queues or none, until the signal aborts: then claims end first, next the cells as the plan says, last the rest. */
export async function serve(workers: Workers, host: CellHost, { signal, stop, isOpen, ready }: Serving): Promise<void> {
  const failed = new AbortController();
  const claims = workers.claims.run();
  const others = [workers.workflows.run(), workers.steps.run()];
  claims.catch(() => failed.abort());
  for (const run of others) void run.catch(() => undefined).finally(() => failed.abort());

  const over = AbortSignal.any([signal, failed.signal]);
  if (!over.aborted) ready();
  await aborted(over);
  shutDown(workers.claims);
  if (stop.kind !== 'leave' && !failed.signal.aborted) {
    await Promise.race([claims, aborted(failed.signal), sleep(lastClaims, undefined, { ref: false })]);
    await settleCells(host, stop, isOpen, failed.signal);
  }
  shutDown(workers.workflows);
  shutDown(workers.steps);
  const ended = await Promise.allSettled([claims, ...others]);
  const failure = ended.find((end) => end.status === 'rejected');
  if (failure) throw failure.reason;
}

function shutDown(worker: Worker): void {
  if (worker.getState() === 'RUNNING') worker.shutdown();
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}
