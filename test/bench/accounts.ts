import { waitUntil } from '../support/wait-until.ts';
import { remainsOfHost } from '../support/remains.ts';
import { runnersOf } from '../support/runners.ts';
import type { CellCost } from './results.ts';
import type { BenchFleet } from './stage.ts';
import { type CpuTime, cpuOf } from './usage.ts';

/** Processor time of everything that works for cells, until now. */
export interface Accounts {
  worker: CpuTime;
  /** The small process that runs git for the worker. */
  runner: CpuTime;
  supervisor: CpuTime;
  temporal: CpuTime;
}

/**
 * Takes the accounts. A process's children are counted when they have ended and were waited for: so what cells used is known, to
 * the last of their short-lived processes, when nothing of them is left, and not before.
 */
export async function takeAccounts({ pids }: BenchFleet): Promise<Accounts> {
  const of = async (pid: number) => (await cpuOf(pid)) ?? { own: Number.NaN, children: Number.NaN };
  const [runner] = await runnersOf(pids.worker);
  return {
    worker: await of(pids.worker),
    runner: runner === undefined ? { own: 0, children: 0 } : await of(runner.pid),
    supervisor: await of(pids.supervisor),
    temporal: await of(pids.temporal),
  };
}

/** What one cell cost between two accounts, in seconds. The supervisor is the parent of all that runs in cells. */
export function costOf(before: Accounts, after: Accounts, cells: number): CellCost {
  const used = (pick: (accounts: Accounts) => number) => (pick(after) - pick(before)) / cells;
  return {
    cell: used(({ supervisor }) => supervisor.children),
    worker: used(({ worker }) => worker.own),
    git: used(({ worker, runner }) => worker.children + runner.own + runner.children),
    supervisor: used(({ supervisor }) => supervisor.own),
    temporal: used(({ temporal }) => temporal.own),
  };
}

/** Waits until a host holds nothing of any cell, and answers what it still holds after twenty seconds. */
export async function settled({ fleet }: BenchFleet): Promise<string[]> {
  let left: string[] = [];
  const nothing = async () => {
    left = await remainsOfHost(fleet.stateDirectory, fleet.repository.path);
    return left.length === 0;
  };
  await waitUntil(nothing).catch(() => undefined);
  return left;
}
