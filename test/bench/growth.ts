import type { BenchFleet } from './stage.ts';
import { descriptorsOf, memoryOf } from './usage.ts';

/** What the processes of a host that stay hold: MiB of anonymous memory, and open file descriptors. */
export interface Look {
  worker: number;
  supervisor: number;
  workerFiles: number;
  supervisorFiles: number;
}

export async function look({ pids }: BenchFleet): Promise<Look> {
  const memory = async (pid: number) => (await memoryOf(pid))?.anonymous ?? Number.NaN;
  const files = async (pid: number) => (await descriptorsOf(pid)) ?? Number.NaN;
  return {
    worker: await memory(pids.worker),
    supervisor: await memory(pids.supervisor),
    workerFiles: await files(pids.worker),
    supervisorFiles: await files(pids.supervisor),
  };
}
