import { setTimeout as sleep } from 'node:timers/promises';
import { diskOf } from './disk-of-cell.ts';
import type { CellHost } from './host.ts';

/** The files of a cell take more than they may. */
export class DiskSpent extends Error {
  override readonly name = 'DiskSpent';
}

type Host = Pick<CellHost, 'stateDirectory' | 'cellDisk' | 'log' | 'audit'>;

/** How often the files of a cell are measured, and how long that may take, milliseconds. */
const look = { interval: 2_000, limit: 120_000 };
/** How many times as long as the last look took the next one waits at least, for each cell that is looked at. */
const restAfterLook = 20;
/** How many cells of this worker are looked at now: all looks together take some 5 % of one processor at most. */
let watched = 0;

/**
 * Does what lets a cell write, and looks meanwhile at what its files take, and once more at the end: above `cellDisk` of its host the
 * work is aborted. Between two looks a cell can go beyond; how far is a matter of its disk.
 *
 * @throws DiskSpent when the work was aborted for that, or had gone beyond by its end
 */
export async function withinDisk<Result>(
  host: Host,
  cellId: string,
  work: (signal: AbortSignal) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const spent = new AbortController();
  const over = new AbortController();
  const measure = createMeasure(host, cellId, spent);
  const watching = watch(measure, over.signal, spent.signal);
  try {
    const result = await work(AbortSignal.any([signal, spent.signal]));
    over.abort();
    await watching;
    // What it wrote last, before it goes any further: into a commit, say.
    await measure(signal);
    spent.signal.throwIfAborted();
    return result;
  } catch (error) {
    // In whatever words the work says that it was aborted.
    if (!signal.aborted) spent.signal.throwIfAborted();
    throw error;
  } finally {
    over.abort();
    await watching;
  }
}

/** Whether the files of a cell take more than they may; false where that cannot be told. */
export async function exceedsDisk(host: Host, cellId: string): Promise<boolean> {
  const disk = await diskOf(host, cellId, { limitMs: look.limit });
  return disk !== null && disk > host.cellDisk;
}

async function watch(measure: Measure, over: AbortSignal, spent: AbortSignal): Promise<void> {
  watched += 1;
  try {
    while (!over.aborted && !spent.aborted) {
      const startedAt = performance.now();
      await measure(over);
      const rest = (performance.now() - startedAt) * restAfterLook * watched;
      await sleep(Math.max(look.interval, rest), undefined, { signal: over }).catch(() => undefined);
    }
  } finally {
    watched -= 1;
  }
}

type Measure = (signal: AbortSignal) => Promise<void>;

/** Aborts `spent` where the cell has gone beyond, and tells it to the log and the audit log. */
function createMeasure(host: Host, cellId: string, spent: AbortController): Measure {
  const { cellDisk: limit, log, audit } = host;
  let unknown = false;
  return async (signal) => {
    const disk = await diskOf(host, cellId, { limitMs: look.limit, signal }).catch(() => null);
    if (signal.aborted || spent.signal.aborted) return;
    if (disk === null && !unknown) log.warn({ cellId }, 'what the files of the cell take cannot be told');
    unknown = disk === null;
    if (disk === null || disk <= limit) return;
    const text = `the files of the cell take ${sizeOf(disk, Math.ceil)}; it may have ${sizeOf(limit, Math.round)} (CELLS_CELL_DISK)`;
    spent.abort(new DiskSpent(text));
    log.warn({ cellId, disk, limit }, text);
    await audit.record({ event: 'alert', what: 'disk', cellId, disk, limit });
  };
}

/** `10.3 GiB`, `40 MiB`. What is beyond a limit is rounded up, so that it does not look like the limit. */
function sizeOf(bytes: number, round: (tenths: number) => number): string {
  const [unit, name] = bytes < 1024 ** 3 ? [1024 ** 2, 'MiB'] : [1024 ** 3, 'GiB'];
  return `${round((bytes / unit) * 10) / 10} ${name}`;
}
