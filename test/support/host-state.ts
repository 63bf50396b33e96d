import type { Lease } from '../../src/cell/lease.ts';
import { createLeaseStore } from '../../src/cell/leases.ts';
import { cellMarker } from '../../src/domain/names.ts';
import { opencodeBinary } from '../../src/opencode/binary.ts';
import { processesMarked } from './processes.ts';
import { waitUntil } from './wait-until.ts';

/** The cells that have a place on a host, read from its disk as any other program could. */
export async function leasesIn(stateDirectory: string): Promise<Lease[]> {
  return (await createLeaseStore(stateDirectory).list()).leases;
}

export async function leaseIn(stateDirectory: string, cellId: string): Promise<Lease | null> {
  const found = await createLeaseStore(stateDirectory).read(cellId);
  return found.kind === 'lease' ? found.lease : null;
}

/** The id of OpenCode's own process, by which a cell is served. */
export async function serverIn(stateDirectory: string, cellId: string): Promise<number> {
  const lease = await leaseIn(stateDirectory, cellId);
  if (lease === null || lease.server === null) throw new Error(`cell ${cellId} has no server`);
  return lease.runtime === 'process' ? lease.server.pid : await openCodeOf(cellId);
}

/** Whether a process is an OpenCode server, by its command. */
export const isServer = (command: string): boolean => command.startsWith(`${opencodeBinary} serve`);

/** The same while a cell is being made: what the lease names may be the sandbox around it, which stops without it. */
export async function openCodeOf(cellId: string): Promise<number> {
  let found: number | undefined;
  await waitUntil(async () => {
    const marked = await processesMarked(cellMarker, cellId);
    found = marked.find(({ command }) => isServer(command))?.pid;
    return found !== undefined;
  });
  return found ?? Number.NaN;
}
