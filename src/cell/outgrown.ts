import { memoryByCell } from '../runtimes/cell-memory.ts';
import type { CellHost } from './host.ts';
import { serverPlace } from './server-place.ts';

/** A server that uses more of its limit than this part would be near its end in the next step. */
const part = 0.9;

/**
 * What the processes of a cell use, in a sentence, when it is so near to the limit that the server should be replaced before the next
 * step; null while there is room. The limit is the cell's own where its runtime enforces one, else the host's.
 */
export async function outgrown(
  { serverMemory, stateDirectory, leases }: CellHost,
  cellId: string,
): Promise<string | null> {
  const { mark } = await serverPlace(stateDirectory, cellId);
  const used = (await memoryByCell(new Set([mark]))).get(mark) ?? 0;
  const found = await leases.read(cellId);
  const limit = (found.kind === 'lease' ? found.lease.limits.memory : null) ?? serverMemory;
  if (used <= limit * part) return null;
  return `the cell uses ${mebibytes(used)} MiB of memory, and its limit is ${mebibytes(limit)} MiB`;
}

const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);
