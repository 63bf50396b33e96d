import { readFile } from 'node:fs/promises';
import { withDescendants } from './descendants.ts';
import { scanProcesses } from './processes.ts';

/** Proportional memory of all processes of each cell, bytes: shared pages count once. */
export async function memoryByCell(cellIds: ReadonlySet<string>): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  if (cellIds.size === 0) return sizes;
  const cellOf = withDescendants(
    await scanProcesses(),
    ({ marks }) => marks.find((mark) => cellIds.has(mark.cellId))?.cellId,
  );
  for (const [{ pid }, cellId] of cellOf) sizes.set(cellId, (sizes.get(cellId) ?? 0) + (await proportionalSize(pid)));
  return sizes;
}

/** Of one process, bytes: pages that it shares count by its share. 0 for one that is gone, or may not be asked. */
export async function proportionalSize(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}
