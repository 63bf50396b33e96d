import type { CellHost } from './host.ts';

/** Throws `Superseded` when a later attempt has taken over the cell. */
export type Fence = () => Promise<void>;

/**
 * Begins an attempt of a step on a cell: attempts that began earlier are shut out. A worker that was frozen, and wakes
 * after its step was given to another one, finds the fence before it commits or releases anything.
 *
 * @throws NoLease
 */
export async function raiseFence(host: CellHost, cellId: string): Promise<Fence> {
  const { generation } = await host.leases.raiseGeneration(cellId);
  return async () => {
    await host.leases.update(cellId, {}, generation);
  };
}
