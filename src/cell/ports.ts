import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import getPort, { clearLockedPorts } from 'get-port';
import { codeOf, createFile } from './create-file.ts';

/** Both ends belong to the range. */
export interface PortRange {
  from: number;
  to: number;
}

/** A port that is the cell's until it is released. It is data: any process of the host can release it. */
export interface PortLease {
  port: number;
  /** Or that of a server that was booted ahead, which keeps its port for the cell that adopts it. */
  cellId: string;
}

export interface PortRequest {
  range: PortRange;
  /** Where the leases are: one file for each port, which contains the id of its cell. */
  directory: string;
  /** A directory that goes with the cell, for what is half written: among the leases it would stay when its writer is killed. */
  drafts: string;
  cellId: string;
  /** Ports that the caller has just found to be taken. */
  except?: ReadonlySet<number>;
}

/** Every port of the range is leased, or taken by a stranger. */
export class PortRangeExhausted extends Error {
  override readonly name = 'PortRangeExhausted';
}

/**
 * Leases a port of the range. A cell that asks again gets the port that it has, if nobody listens there: it must have
 * ended its own server before it asks.
 *
 * The file decides between the cells of this state directory, in whatever process; it is created before the port is tried,
 * so that a port is tried by nobody but its holder. A stranger who listens there is passed over: another host on
 * this machine, say.
 *
 * @throws PortRangeExhausted; never answers a port outside of the range
 */
export async function leasePort(request: PortRequest): Promise<PortLease> {
  const { directory, drafts, cellId, range, except = new Set() } = request;
  const leases = await listPorts(directory);
  for (const { port } of leases.filter((lease) => lease.cellId === cellId)) {
    if (port >= range.from && port <= range.to && !except.has(port) && (await isPortFree(port)))
      return { port, cellId };
    await releasePort(directory, port, cellId);
  }
  const taken = new Set(leases.map((lease) => lease.port));
  for (const port of portsFrom(range, cellId)) {
    if (taken.has(port) || except.has(port)) continue;
    if (!(await createFile(join(directory, String(port)), cellId, drafts))) continue;
    if (await isPortFree(port)) return { port, cellId };
    await releasePort(directory, port, cellId);
  }
  throw new PortRangeExhausted(`no port is free from ${range.from} to ${range.to}`);
}

/** Gives a port back, if it is this cell's. Idempotent. Answers whether it was. */
export async function releasePort(directory: string, port: number, cellId: string): Promise<boolean> {
  if ((await holderOf(directory, port)) !== cellId) return false;
  await rm(join(directory, String(port)), { force: true });
  return true;
}

/** Gives all ports of a cell back. Idempotent. Answers whether there was one. */
export async function releasePorts(directory: string, cellId: string): Promise<boolean> {
  const own = (await listPorts(directory)).filter((lease) => lease.cellId === cellId);
  const released = await Promise.all(own.map(({ port }) => releasePort(directory, port, cellId)));
  return released.includes(true);
}

/** Every lease of a port in this state directory. */
export async function listPorts(directory: string): Promise<PortLease[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const ports = (await readdir(directory)).filter((name) => /^[1-9]\d{0,4}$/.test(name)).map(Number);
  const leases = await Promise.all(ports.map(async (port) => ({ port, cellId: await holderOf(directory, port) })));
  return leases.flatMap(({ port, cellId }) => (cellId === null ? [] : [{ port, cellId }]));
}

/** Whether nobody listens on a port, on any address of this machine. */
export async function isPortFree(port: number): Promise<boolean> {
  // get-port remembers for half a minute what it answered, and looks for another port when the one is taken.
  clearLockedPorts();
  return (await getPort({ port })) === port;
}

/** The whole range once, from a place that differs by cell: two hosts on one machine rarely try the same port at once. */
function* portsFrom({ from, to }: PortRange, cellId: string): Generator<number> {
  const size = to - from + 1;
  const start = Number.parseInt(cellId.slice(0, 8), 16) % size;
  for (let step = 0; step < size; step += 1) yield from + ((start + step) % size);
}

async function holderOf(directory: string, port: number): Promise<string | null> {
  try {
    return await readFile(join(directory, String(port)), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
