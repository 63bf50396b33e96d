import { memoryByCell } from '../runtimes/cell-memory.ts';
import type { CellHost } from './host.ts';
import { serverPlace } from './server-place.ts';

/** A server that uses more of its limit than this part would be near its end in the next step. */
const part = 0.9;

/**
 * What the processes of a cell use, in a sentence, when it is so near to the limit that the server should be replaced before the next
 * step; null while there is room. The limit is the host's: a runtime that enforces one of its own would be asked for it here.
 */
export async function outgrown({ serverMemory, stateDirectory }: CellHost, cellId: string): Promise<string | null> {
  const { mark } = await serverPlace(stateDirectory, cellId);
  const used = (await memoryByCell(new Set([mark]))).get(mark) ?? 0;
  if (used <= serverMemory * part) return null;
  return `the cell uses ${mebibytes(used)} MiB of memory, and its limit is ${mebibytes(serverMemory)} MiB`;
}

const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);
