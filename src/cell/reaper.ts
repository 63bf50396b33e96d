import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeUnknownWorktree } from '../git/remove-worktree.ts';
import { askRuntimes } from './ask-runtimes.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { hostPaths, isCellId } from './paths.ts';
import { listPorts, releasePorts } from './ports.ts';
import { marksOf } from './server-place.ts';
import { teardownCell } from './teardown.ts';
import { type WarmList, listWarm } from './warm-record.ts';
import { endWarm } from './warm-server.ts';

/** Something on this host that no running workflow owns any more, and why that is so. */
export interface Unowned {
  resource: 'cell' | 'process' | 'group' | 'worktree' | 'port' | 'lease' | 'warm';
  /** Of a warm server, its own id. */
  cellId: string;
  why: string;
}

/** Whether the run that a lease names is still open; null when nobody can say just now. */
export type IsOpen = (owner: Lease['owner']) => Promise<boolean | null>;

/** A claim whose answer was lost holds its place this long, milliseconds: a spawn follows a claim within two minutes. */
const claimLapses = 5 * 60_000;
/** What has no lease is left alone this long, milliseconds, so that nothing half made is taken. */
const grace = 5 * 60_000;

/**
 * Finds what no running workflow owns: leases whose run has ended or that never came to a spawn, processes, control
 * groups, worktrees and ports of cells that have no lease, and warm servers that nobody keeps. It goes by leases and markers,
 * and never by name.
 * What cannot be decided is left alone.
 */
export async function findUnowned(host: CellHost, isOpen: IsOpen): Promise<Unowned[]> {
  // Before the leases: what was made after this look has its lease by the next.
  const resources = await resourcesOf(host);
  const warm = await listWarm(host.stateDirectory);
  const { leases, unreadable } = await host.leases.list();
  const cellIds = [...leases, ...unreadable].map(({ cellId }) => cellId);
  const marks = await marksOf(host.stateDirectory, cellIds);
  const ended = unownedWarm(host, warm, new Set(marks));
  const waiting = warm.records.map(({ id }) => id);
  const known = new Set([...cellIds, ...marks, ...waiting, ...ended.map(({ cellId }) => cellId)]);
  const cells = await Promise.all(
    leases.map(async (lease) => ({
      resource: 'cell' as const,
      cellId: lease.cellId,
      why: await whyUnowned(lease, isOpen),
    })),
  );
  const damaged = await Promise.all(
    unreadable.map(async ({ cellId, reason }) => ({
      cellId,
      reason,
      old: await isOld(join(hostPaths(host.stateDirectory).cells, cellId)),
    })),
  );
  return [
    ...cells.flatMap(({ resource, cellId, why }) => (why === null ? [] : [{ resource, cellId, why }])),
    ...damaged
      .filter(({ old }) => old)
      .map(({ cellId, reason }) => ({ resource: 'lease' as const, cellId, why: `it cannot be read: ${reason}` })),
    ...ended,
    ...resources.filter(({ cellId }) => !known.has(cellId)),
  ];
}

/** Servers that were booted ahead on a host that keeps none, and what was left when one was ended or adopted. */
function unownedWarm(host: CellHost, { records, directories }: WarmList, adopted: ReadonlySet<string>): Unowned[] {
  const waiting = new Set(records.map(({ id }) => id));
  const left = directories.filter((id) => !waiting.has(id) && !adopted.has(id));
  const unwanted = host.warmServers > 0 ? [] : [...waiting];
  return [
    ...unwanted.map((cellId) => ({ cellId, why: 'it waits for a cell on a host that keeps no warm servers' })),
    ...left.map((cellId) => ({ cellId, why: 'it waits for no cell, and none has it' })),
  ].map((found) => ({ resource: 'warm' as const, ...found }));
}

/** Releases what was found. Idempotent. Answers false where it was not released, and says so in the log. */
export async function releaseUnowned(host: CellHost, unowned: Unowned): Promise<boolean> {
  const released = await release(host, unowned);
  await host.audit.record({ event: 'reaped', ...unowned, released });
  return released;
}

async function release(host: CellHost, { resource, cellId, why }: Unowned): Promise<boolean> {
  try {
    switch (resource) {
      case 'cell':
        await teardownCell(host, cellId, why);
        return true;
      case 'process':
        return (await destroyed(host, cellId)).some((ended) => ended > 0);
      case 'group':
        await destroyed(host, cellId);
        return true;
      case 'worktree':
        return await removeUnknownWorktree(join(hostPaths(host.stateDirectory).worktrees, cellId));
      case 'port':
        return await releasePorts(hostPaths(host.stateDirectory).ports, cellId);
      case 'warm':
        return await endWarm(host, cellId);
      case 'lease':
        return await host.leases.quarantine(cellId);
    }
  } catch (error) {
    host.log.warn({ resource, cellId, error }, 'what nobody owns could not be released; it is tried again');
    return false;
  }
}

const destroyed = (host: CellHost, cellId: string): Promise<number[]> =>
  askRuntimes(host, (runtime) => runtime.destroy(cellId));

async function whyUnowned(lease: Lease, isOpen: IsOpen): Promise<string | null> {
  const open = await isOpen(lease.owner);
  if (open === null) return null;
  if (!open) return `its workflow ${lease.owner.workflowId} has ended`;
  const lapsed = lease.state === 'claimed' && Date.now() - lease.createdAt > claimLapses;
  return lapsed ? 'it was claimed, and no spawn followed' : null;
}

async function resourcesOf(host: CellHost): Promise<Unowned[]> {
  const { worktrees, ports } = hostPaths(host.stateDirectory);
  const processes = (await askRuntimes(host, (runtime) => runtime.list())).flat();
  const groups = (await askRuntimes(host, (runtime) => runtime.listEmpty())).flat();
  const oldPorts = new Set(await oldNames(ports));
  const held = (await listPorts(ports)).filter(({ port }) => oldPorts.has(String(port)));
  const of = (resource: Unowned['resource'], cellIds: readonly string[]): Unowned[] =>
    [...new Set(cellIds)]
      .filter(isCellId)
      .map((cellId) => ({ resource, cellId, why: 'there is no lease of its cell' }));
  return [
    ...of('process', processes),
    ...of('group', groups),
    ...of('worktree', await oldNames(worktrees)),
    ...of(
      'port',
      held.map(({ cellId }) => cellId),
    ),
  ];
}

async function oldNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const old = await Promise.all(names.map((name) => isOld(join(directory, name))));
  return names.filter((_, index) => old[index]);
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs > grace;
}
