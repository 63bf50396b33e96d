import { diskOf } from '../../cell/disk-of-cell.ts';
import type { CellHost } from '../../cell/host.ts';
import type { Lease } from '../../cell/lease.ts';
import { marksOf } from '../../cell/server-place.ts';
import { memoryByCell } from '../../runtimes/cell-memory.ts';
import type { ObservedNeeds } from './observed-needs.ts';

/** How often the disk of one cell is measured, and how long that may take, milliseconds: it walks over every file. */
const disk = { interval: 60_000, limit: 20_000 };

/** Makes a look at what the cells of this host hold. One look at a time. */
export function createMeasurement(host: CellHost, needs: ObservedNeeds): () => Promise<void> {
  let diskAt = 0;
  const measured = new Set<string>();
  return async () => {
    const { leases } = await host.leases.list();
    await needs.observe(leases, await memoryOf(host, leases));
    for (const cellId of measured) if (!leases.some((lease) => lease.cellId === cellId)) measured.delete(cellId);
    const next = leases.find(({ cellId, state }) => state === 'ready' && !measured.has(cellId));
    if (next === undefined || Date.now() < diskAt + disk.interval) return;
    diskAt = Date.now();
    measured.add(next.cellId);
    const bytes = await diskOf(host, next.cellId, { limitMs: disk.limit });
    if (bytes !== null) needs.observeDisk(bytes);
  };
}

/** By cell: the server of one is known by another mark when it was booted ahead. */
async function memoryOf({ stateDirectory }: CellHost, leases: readonly Lease[]): Promise<Map<string, number>> {
  const cellIds = leases.map(({ cellId }) => cellId);
  const marks = await marksOf(stateDirectory, cellIds);
  const sizes = await memoryByCell(new Set(marks));
  return new Map(cellIds.map((cellId, index) => [cellId, sizes.get(marks[index] ?? cellId) ?? 0]));
}
