import type { Lease } from '../../src/cell/lease.ts';
import { createLeaseStore } from '../../src/cell/leases.ts';

/** The cells that have a place on a host, read from its disk as any other program could. */
export async function leasesIn(stateDirectory: string): Promise<Lease[]> {
  return (await createLeaseStore(stateDirectory).list()).leases;
}

export async function leaseIn(stateDirectory: string, cellId: string): Promise<Lease | null> {
  const found = await createLeaseStore(stateDirectory).read(cellId);
  return found.kind === 'lease' ? found.lease : null;
}

/** The process id of a cell's server. */
export async function serverIn(stateDirectory: string, cellId: string): Promise<number> {
  const lease = await leaseIn(stateDirectory, cellId);
  if (lease === null || lease.server === null) throw new Error(`cell ${cellId} has no server`);
  return lease.server.pid;
}
