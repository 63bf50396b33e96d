import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lease } from '../../src/cell/lease.ts';
import { cellPaths } from '../../src/cell/paths.ts';
import { leasesIn } from './host-state.ts';
import { waitUntil } from './wait-until.ts';

/** Scripts of agents that wait, in the middle of their work, until they are let go on. */
export const unhurriedScripts = fileURLToPath(new URL('../fixtures/scripts/unhurried.yaml', import.meta.url));

/** Waits until the agents of so many cells wait, and answers the leases of these. */
export async function untilAgentsWait(stateDirectory: string, count: number): Promise<Lease[]> {
  let waiting: Lease[] = [];
  await waitUntil(async () => {
    const leases = await leasesIn(stateDirectory);
    const flags = await Promise.all(leases.map(({ cellId }) => exists(fileIn(stateDirectory, cellId, 'waits'))));
    waiting = leases.filter((_, index) => flags[index]);
    return waiting.length === count;
  }, 300_000);
  return waiting;
}

/** Waits until the agent of this cell waits. */
export async function untilAgentWaits(stateDirectory: string, cellId: string): Promise<void> {
  await waitUntil(() => exists(fileIn(stateDirectory, cellId, 'waits')), 300_000);
}

/** Lets the agent of a cell go on. */
export async function letGoOn(stateDirectory: string, cellId: string): Promise<void> {
  await writeFile(fileIn(stateDirectory, cellId, 'go'), '');
}

const fileIn = (stateDirectory: string, cellId: string, name: string): string =>
  join(cellPaths(stateDirectory, cellId).home, name);

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
