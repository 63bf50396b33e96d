import { setTimeout as sleep } from 'node:timers/promises';
import { HostCloses, closeCell } from '../cell/close-cell.ts';
import type { CellHost } from '../cell/host.ts';
import type { Lease } from '../cell/lease.ts';
import type { IsOpen } from '../cell/reaper.ts';

/** What becomes of the cells of a host when its worker is told to end. `limitMs` is how long the worker stays for them. */
export type StopPlan =
  /** They stay at work, for the next worker of the host. */
  | { kind: 'leave' }
  /** They come to their end; those that do not in time stay at work for the next worker. */
  | { kind: 'drain'; limitMs: number }
  /** They are ended, with their work kept, and their workflows make them anew on another host. */
  | { kind: 'end'; limitMs: number };

/** How often it is said how many cells are still waited for, milliseconds; and whenever their number changes. */
const remindEvery = 30_000;
const lookEvery = 250;
/** How long a worker stays for the verdicts of cells that have ended, milliseconds: their workflows need it for one more moment. */
const lastVerdicts = 10_000;

/**
 * Carries out the plan, after the last claim of the host and while its steps and the workflows are still served.
 *
 * @param isOpen whether the run of a cell goes on
 * @param signal ends the waiting: the worker cannot serve any more.
 */
export async function settleCells(host: CellHost, plan: StopPlan, isOpen: IsOpen, signal: AbortSignal): Promise<void> {
  if (plan.kind === 'leave') return;
  const { log } = host;
  const deadline = Date.now() + plan.limitMs;
  if (plan.kind === 'drain') {
    const owners = new Map<string, Lease['owner']>();
    const left = await untilNoCells(host, 'waiting for cells to end', deadline, signal, owners);
    if (left > 0) log.warn({ cells: left }, 'the time is over: these cells stay at work for the next worker');
    else await untilClosed([...owners.values()], isOpen, signal);
    return;
  }
  host.closing.abort(new HostCloses(`host ${host.hostId} shuts down`));
  // Each cell is ended by the step that it is at, or by its next one. The last third is for those whose workflow asks for none.
  const left = await untilNoCells(host, 'ending the cells of this host', deadline - plan.limitMs / 3, signal);
  if (left > 0) await endTheRest(host, AbortSignal.timeout(Math.max(1, deadline - Date.now())));
}

/** Answers how many cells are left: none, or those that there are at the deadline. Adds to `owners` whose cells were seen. */
async function untilNoCells(
  host: CellHost,
  message: string,
  deadline: number,
  signal: AbortSignal,
  owners = new Map<string, Lease['owner']>(),
): Promise<number> {
  let told = { cells: 0, at: 0 };
  for (;;) {
    const { leases, unreadable } = await host.leases.list();
    for (const { cellId, owner } of leases) owners.set(cellId, owner);
    const cells = leases.length + unreadable.length;
    if (cells === 0 || signal.aborted || Date.now() >= deadline) return cells;
    if (cells !== told.cells || Date.now() - told.at >= remindEvery) {
      told = { cells, at: Date.now() };
      host.log.info({ cells, forAtMostMs: deadline - told.at }, message);
    }
    await sleep(lookEvery);
  }
}

/** A cell ends with its teardown, its workflow a moment later: without a worker the verdict would wait for the next one. */
async function untilClosed(owners: readonly Lease['owner'][], isOpen: IsOpen, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + lastVerdicts;
  for (const owner of owners) {
    while (!signal.aborted && Date.now() < deadline && (await isOpen(owner)) === true) await sleep(lookEvery);
  }
}

/** Without their workflows, which find them gone. What cannot be released, or not in time, is left to the reaper. */
async function endTheRest(host: CellHost, signal: AbortSignal): Promise<void> {
  const { leases } = await host.leases.list();
  const ended = Promise.all(
    leases.map(({ cellId }) =>
      closeCell(host, cellId).catch((error: unknown) =>
        host.log.warn({ cellId, error }, 'the cell could not be released; the reaper will try again'),
      ),
    ),
  );
  const { promise: late, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await Promise.race([ended, late]);
}
