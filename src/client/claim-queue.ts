import type { Client } from '@temporalio/client';
import { claimTaskQueue, workflowTaskQueue } from '../domain/names.ts';

/** The queue in which cells wait for a host, as Temporal knows it. Times are milliseconds since the epoch. */
export interface ClaimQueue {
  /** Hosts whose worker polled in the last five minutes. */
  hosts: KnownHost[];
  /** About how many cells wait, and since when the longest does; null where the server does not tell. */
  waiting: number | null;
  oldestSince: number | null;
  /** Why a cell waits, as far as that can be seen from Temporal, in a sentence. */
  why: string;
}

export interface KnownHost {
  host: string;
  /** When it last polled for anything. A worker that lives does so every minute at least. */
  heardAt: number;
  /** When it last asked for a cell; null when it did not in the last five minutes. */
  askedAt: number | null;
}

/** A poll ends after a minute when there is nothing; with some more time for the network. */
const livesWithin = 90_000;

/** Asks Temporal who serves cells, and how many wait. */
export async function describeClaimQueue(client: Client): Promise<ClaimQueue> {
  const [workflows, claims] = await Promise.all([
    describeQueue(client, workflowTaskQueue, 1),
    describeQueue(client, claimTaskQueue, 2),
  ]);
  const asked = lastPolls(claims.pollers);
  const heard = lastPolls([...(workflows.pollers ?? []), ...(claims.pollers ?? [])]);
  const hosts = [...heard]
    .map(([host, heardAt]) => ({ host, heardAt, askedAt: asked.get(host) ?? null }))
    .toSorted((one, other) => one.host.localeCompare(other.host));
  const count = claims.stats?.approximateBacklogCount;
  const age = claims.stats?.approximateBacklogAge;
  const now = Date.now();
  const facts = {
    hosts,
    waiting: claims.stats ? Number(count ?? 0) : null,
    oldestSince: age && Number(count ?? 0) > 0 ? now - (millisecondsOf(age) ?? 0) : null,
  };
  return { ...facts, why: whyCellsWait(facts, now) };
}

/** Puts the facts into a sentence. */
export function whyCellsWait({ hosts, waiting }: Omit<ClaimQueue, 'why'>, now: number): string {
  const living = hosts.filter(({ heardAt }) => now - heardAt < livesWithin);
  if (hosts.length === 0) return 'no worker has polled for cells in the last five minutes';
  if (living.length === 0) {
    const last = Math.max(...hosts.map(({ heardAt }) => heardAt));
    return `no worker has polled since ${new Date(last).toISOString()} (${hosts.map(({ host }) => host).join(', ')})`;
  }
  const one = living.length === 1;
  const known = `${one ? 'one host is' : `${living.length} hosts are`} known (${living.map(({ host }) => host).join(', ')})`;
  const asks = `${one ? 'it asks for no cell' : 'none asks for a cell'} just now: ${one ? 'it is' : 'they are'} full, or short of memory, disk or ports, or spawns fail there`;
  const others = waiting !== null && waiting > 1 ? `; about ${waiting} cells wait` : '';
  return `${known}, and ${asks}${others}`;
}

/** `type` is the server's number: 1 for workflows, 2 for activities. */
async function describeQueue(client: Client, name: string, taskQueueType: 1 | 2) {
  return await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name },
    taskQueueType,
    reportStats: true,
  });
}

interface Poller {
  identity?: string | null;
  lastAccessTime?: Parameters<typeof millisecondsOf>[0] | null;
}

/** The identity of a worker is `<host>/<role>/<process id>`. */
function lastPolls(pollers: readonly Poller[] | null | undefined): Map<string, number> {
  const latest = new Map<string, number>();
  for (const { identity, lastAccessTime } of pollers ?? []) {
    const host = /^([^/]+)\/[a-z]+\/\d+$/.exec(identity ?? '')?.[1];
    const at = lastAccessTime ? millisecondsOf(lastAccessTime) : null;
    if (host !== undefined && at !== null) latest.set(host, Math.max(at, latest.get(host) ?? 0));
  }
  return latest;
}

function millisecondsOf({ seconds, nanos }: { seconds?: unknown; nanos?: number | null }): number {
  return Number(seconds ?? 0) * 1000 + Math.floor((nanos ?? 0) / 1e6);
}
