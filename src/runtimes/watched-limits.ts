import { readFile } from 'node:fs/promises';
import { withDescendants } from './descendants.ts';
import type { CellLimits } from './limit-groups.ts';
import { isAlive, type ProcessEntry, scanProcesses } from './processes.ts';

/** Between two looks, milliseconds, at least. */
const lookEveryMs = 250;

/** So many times as long as a look took is there no other: looking takes a twentieth of a processor at most. */
const restPerLook = 20;

interface Watched {
  /** Bytes. */
  memory: number;
  ends: number;
}

/**
 * Limits of memory where there are no control groups: the processes of each cell are looked at some times a second, and while they have more
 * than they may, the largest of them is ended. Between two looks a cell can have more; a control group never lets it.
 *
 * Whoever started the cells watches them: when it ends, so do they. The numbers of processes and processors are not its business.
 */
export function createWatchedLimits(owner: string): CellLimits {
  const cells = new Map<string, Watched>();
  let watching = false;
  const look = async () => {
    const cellOf = withDescendants(
      await scanProcesses(),
      ({ marks }) => marks.find((mark) => mark.owner === owner && cells.has(mark.cellId))?.cellId,
    );
    const found = Map.groupBy(cellOf.keys(), (process) => cellOf.get(process));
    for (const [cellId, watched] of cells) {
      const largest = await largestBeyond(watched.memory, found.get(cellId) ?? []);
      if (largest !== null && end(largest)) watched.ends += 1;
    }
  };
  const watch = async () => {
    const began = performance.now();
    // The next one may succeed, and who starts the cells must not end for it.
    await look().catch(() => undefined);
    watching = cells.size > 0;
    if (watching) lookIn(Math.max(lookEveryMs, (performance.now() - began) * restPerLook));
  };
  const lookIn = (ms: number) => void setTimeout(() => void watch(), ms).unref();
  return {
    enter(cellId, { memory }) {
      if (memory === null) cells.delete(cellId);
      else cells.set(cellId, { memory, ends: cells.get(cellId)?.ends ?? 0 });
      if (!watching && cells.size > 0) {
        watching = true;
        lookIn(lookEveryMs);
      }
      return Promise.resolve([]);
    },
    memoryLimit: (cellId) => Promise.resolve(cells.get(cellId)?.memory ?? null),
    memoryEnds: (cellId) => Promise.resolve(cells.get(cellId)?.ends ?? 0),
    remove(cellId) {
      cells.delete(cellId);
      return Promise.resolve();
    },
    listEmpty: () => Promise.resolve([]),
  };
}

/** Of these processes the largest, where together they have more than so many bytes; null while they have not. */
async function largestBeyond(bytes: number, processes: readonly ProcessEntry[]): Promise<ProcessEntry | null> {
  const sized = await Promise.all(processes.map(async (process) => ({ process, size: await ownMemory(process.pid) })));
  const total = sized.reduce((sum, { size }) => sum + size, 0);
  if (total <= bytes) return null;
  return sized.toSorted((one, other) => other.size - one.size)[0]?.process ?? null;
}

/** Bytes of memory that are in no file, which a control group would count as well. 0 for a process that is gone. */
async function ownMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const kibibytes = [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)].map(([, size]) => Number(size));
  return kibibytes.reduce((sum, size) => sum + size, 0) * 1024;
}

/** @returns whether that very process was there to be ended */
function end(found: ProcessEntry): boolean {
  if (!isAlive(found)) return false;
  try {
    process.kill(found.pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
