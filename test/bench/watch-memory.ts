import { setTimeout as sleep } from 'node:timers/promises';
import { scanProcesses } from '../../src/runtimes/processes.ts';
import type { MemorySample } from './results.ts';
import type { BenchFleet } from './stage.ts';
import { sum } from './statistics.ts';
import { machineMemory, memoryOf } from './usage.ts';

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
  const cells = new Map<string, number>();
  for (const { pid, marks } of await scanProcesses()) {
    const cellId = marks.find((mark) => mark.owner === owner)?.cellId;
    if (cellId !== undefined) cells.set(cellId, (cells.get(cellId) ?? 0) + (await pss(pid)));
  }
  return {
    cells,
    worker: await pss(pids.worker),
    supervisor: await pss(pids.supervisor),
    temporal: await pss(pids.temporal),
  };
}

const pss = async (pid: number): Promise<number> => (await memoryOf(pid))?.pss ?? 0;
