import { readFile, statfs } from 'node:fs/promises';
import type { CellHost } from '../../cell/host.ts';
import { hostPaths } from '../../cell/paths.ts';
import { listPorts } from '../../cell/ports.ts';
import { readMemory } from './memory.ts';
import type { ObservedNeeds } from './observed-needs.ts';
import type { Figures } from './state.ts';

export interface Limits {
  capacity: number;
  /** Bytes that the operator sets aside; null for the default. */
  memoryReserve: number | null;
  diskReserve: number | null;
}

const gigabyte = 1024 ** 3;

/** Kept free unless the operator says otherwise: for the worker, the supervisor and all else that runs here. */
const defaultReserve = {
  memory: (total: number) => Math.min(1 * gigabyte, total / 10),
  disk: (total: number) => Math.min(5 * gigabyte, total / 10),
};

/** Looks at this host. `claiming` places are taken by nobody's lease yet. */
export async function takeFigures(
  host: CellHost,
  limits: Limits,
  needs: ObservedNeeds,
  claiming: number,
): Promise<Figures> {
  const { leases, unreadable } = await host.leases.list();
  const [memory, disk, free] = await Promise.all([readMemory(), statfs(host.stateDirectory), freePorts(host)]);
  const need = { memory: needs.nextMemory(), disk: needs.nextDisk() };
  const toGrow = leases.map((lease) => Math.max(0, needs.memoryOf(lease) - needs.heldBy(lease.cellId)));
  // What a cell checks out is on the disk once it is ready; what the agent writes after that is little beside it.
  const toBeMade = leases.filter(({ state }) => state === 'claimed' || state === 'spawning').length + claiming;
  const portless = leases.filter(({ port, state }) => port === null && state !== 'terminating').length;
  return {
    places: { taken: leases.length + unreadable.length, claiming, capacity: limits.capacity },
    memory: {
      total: memory.total,
      available: memory.available,
      reserve: Math.round(limits.memoryReserve ?? defaultReserve.memory(memory.total)),
      growth: Math.round(sum(toGrow) + claiming * need.memory),
      need: Math.round(need.memory),
    },
    disk: {
      available: disk.bavail * disk.bsize,
      reserve: Math.round(limits.diskReserve ?? defaultReserve.disk(disk.blocks * disk.bsize)),
      growth: Math.round(toBeMade * need.disk),
      need: Math.round(need.disk),
    },
    ports: { ...host.ports, free, wanted: portless + claiming },
    breaker: host.spawns.now(),
  };
}

/** Ports of the range that no cell has leased and nobody listens on, by the kernel's own tables: binding each in turn would take them from others. */
async function freePorts({ ports: { from, to }, stateDirectory }: CellHost): Promise<number> {
  const leased = (await listPorts(hostPaths(stateDirectory).ports)).map(({ port }) => port);
  const taken = new Set([...leased, ...(await listening())].filter((port) => port >= from && port <= to));
  return to - from + 1 - taken.size;
}

/** What waits for connections in this network namespace. */
async function listening(): Promise<number[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  return tables.flatMap((table) =>
    [...table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm)].map(([, port = '']) => Number.parseInt(port, 16)),
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
