import { setTimeout as sleep } from 'node:timers/promises';
import { scanProcesses } from '../../src/runtimes/processes.ts';
import type { MemorySample } from './results.ts';
import type { BenchFleet } from './stage.ts';
import { sum } from './statistics.ts';
import { type Memory, machineMemory, memoryOf } from './usage.ts';

/** Samples of a fleet's memory while something runs. */
export interface MemoryWatch extends AsyncDisposable {
  samples: MemorySample[];
}

/** Takes a sample every so many milliseconds until it is disposed. */
export async function watchMemory(bench: BenchFleet, interval: number): Promise<MemoryWatch> {
  const { available } = await machineMemory();
  const started = performance.now();
  const samples: MemorySample[] = [];
  const ended = new AbortController();
  const watching = watch();
  return {
    samples,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await watching;
    },
  };

  async function watch(): Promise<void> {
    while (!ended.signal.aborted) {
      const at = (performance.now() - started) / 1000;
      const now = await memoryNow(bench);
      samples.push({
        at,
        alive: now.cells.size,
        cells: sum([...now.cells.values()]),
        worker: now.worker,
        supervisor: now.supervisor,
        temporal: now.temporal,
        taken: available - (await machineMemory()).available,
      });
      await sleep(interval, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  }
}

/** MiB of PSS: of each cell by its id, of the worker, the supervisor and the Temporal server. */
export interface MemoryNow {
  cells: Map<string, number>;
  worker: number;
  supervisor: number;
  temporal: number;
}

export async function memoryNow({ owner, pids }: BenchFleet): Promise<MemoryNow> {
  const cells = await memoryOfCells(owner);
  return {
    cells: new Map([...cells].map(([cellId, memory]) => [cellId, memory.pss])),
    worker: await pss(pids.worker),
    supervisor: await pss(pids.supervisor),
    temporal: await pss(pids.temporal),
  };
}

/** Of all processes of each cell together, by its id. */
export async function memoryOfCells(owner: string): Promise<Map<string, Pick<Memory, 'pss' | 'anonymous'>>> {
  const cells = new Map<string, Pick<Memory, 'pss' | 'anonymous'>>();
  for (const { pid, marks } of await scanProcesses()) {
    const cellId = marks.find((mark) => mark.owner === owner)?.cellId;
    const memory = cellId === undefined ? null : await memoryOf(pid);
    if (cellId === undefined || memory === null) continue;
    const { pss, anonymous } = cells.get(cellId) ?? { pss: 0, anonymous: 0 };
    cells.set(cellId, { pss: pss + memory.pss, anonymous: anonymous + memory.anonymous });
  }
  return cells;
}

const pss = async (pid: number): Promise<number> => (await memoryOf(pid))?.pss ?? 0;
