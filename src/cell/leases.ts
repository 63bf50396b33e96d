import { EventEmitter } from 'node:events';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createLocks } from '../files/one-at-a-time.ts';
import { replaceFile } from '../files/replace-file.ts';
import { codeOf, createFile } from './create-file.ts';
import { type Lease, type LeaseChange, parseLease } from './lease.ts';
import { cellPaths, hostPaths, isCellId } from './paths.ts';
import { discard } from './trash.ts';

export type LeaseReading =
  | { kind: 'lease'; lease: Lease }
  | { kind: 'missing' }
  /** Damaged, or of a version that this one does not know. The cell takes its place all the same. */
  | { kind: 'unreadable'; reason: string };

/** Every cell that has a place on this host. */
export interface LeaseList {
  leases: Lease[];
  unreadable: { cellId: string; reason: string }[];
}

/** A later attempt of the same step has taken over the cell. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

/** There is no lease of this cell, or none that can be read. */
export class NoLease extends Error {
  override readonly name = 'NoLease';
}

/** The leases of one state directory: what a host owns, by cell. One worker writes, by the host's lock; others may read. */
export interface LeaseStore {
  /** Writes the lease of a cell unless it has one, and answers the one that stands. It is on the disk when this returns. @throws NoLease */
  createOrKeep(lease: Lease): Promise<Lease>;
  read(cellId: string): Promise<LeaseReading>;
  /**
   * Changes a lease, one change of a cell after the other.
   *
   * @param generation the number that the caller's attempt works under; a lease with a higher one is not changed
   * @throws NoLease, Superseded
   */
  update(cellId: string, change: LeaseChange | ((lease: Lease) => LeaseChange), generation?: number): Promise<Lease>;
  /** Begins an attempt: whoever works under a lower number is superseded. @throws NoLease */
  raiseGeneration(cellId: string): Promise<Lease>;
  list(): Promise<LeaseList>;
  /** How many places are taken, by cells with readable leases and others alike. */
  count(): Promise<number>;
  /** Waits until the number of taken places satisfies `enough`, and answers it. Sees removals by this worker at once, by others within a second. */
  waitForCount(enough: (count: number) => boolean, signal: AbortSignal): Promise<number>;
  /** Deletes the lease and all else in the cell's directory; so it comes last. Idempotent. Answers whether there was one. */
  remove(cellId: string): Promise<boolean>;
  /** Sets a lease that cannot be read aside, for a person to look at. Answers whether it was one; others stay. */
  quarantine(cellId: string): Promise<boolean>;
}

const pollMs = 1000;

export function createLeaseStore(stateDirectory: string): LeaseStore {
  const directories = hostPaths(stateDirectory);
  const pathsOf = (cellId: string) => cellPaths(stateDirectory, cellId);
  const places = new EventEmitter<{ freed: [] }>().setMaxListeners(0);
  const oneAtATime = createLocks();

  async function read(cellId: string): Promise<LeaseReading> {
    const { lease: file } = pathsOf(cellId);
    try {
      const parsed = parseLease(await readFile(file, 'utf8'));
      if ('reason' in parsed) return { kind: 'unreadable', reason: parsed.reason };
      if (parsed.lease.cellId !== cellId)
        return { kind: 'unreadable', reason: `it is the lease of ${parsed.lease.cellId}` };
      return { kind: 'lease', lease: parsed.lease };
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return { kind: 'missing' };
      throw error;
    }
  }

  async function readExisting(cellId: string): Promise<Lease> {
    const found = await read(cellId);
    if (found.kind === 'lease') return found.lease;
    const why = found.kind === 'missing' ? 'it does not exist' : found.reason;
    throw new NoLease(`no lease of cell ${cellId} in ${stateDirectory}: ${why}`);
  }

  async function write(lease: Lease): Promise<Lease> {
    await replaceFile(pathsOf(lease.cellId).lease, textOf(lease), { mode: 0o600 });
    return lease;
  }

  const cellIds = async () => (await namesIn(directories.cells)).filter(isCellId).toSorted();

  /** A directory without a lease is what a worker left that died between the two. */
  async function readListed(cellId: string): Promise<LeaseReading> {
    const found = await read(cellId);
    if (found.kind !== 'missing') return found;
    const still = (await namesIn(directories.cells)).includes(cellId);
    return still ? { kind: 'unreadable', reason: 'its directory has no lease' } : found;
  }

  return {
    read,
    createOrKeep: (lease) =>
      oneAtATime(lease.cellId, async () => {
        const paths = pathsOf(lease.cellId);
        await mkdir(paths.directory, { recursive: true, mode: 0o700 });
        await createFile(paths.lease, textOf(lease));
        return readExisting(lease.cellId);
      }),
    update: (cellId, change, generation) =>
      oneAtATime(cellId, async () => {
        const lease = await readExisting(cellId);
        if (generation !== undefined && generation < lease.generation) {
          throw new Superseded(`attempt ${generation} on cell ${cellId} was superseded by attempt ${lease.generation}`);
        }
        return write({ ...lease, ...(typeof change === 'function' ? change(lease) : change) });
      }),
    raiseGeneration: (cellId) =>
      oneAtATime(cellId, async () => {
        const lease = await readExisting(cellId);
        return write({ ...lease, generation: lease.generation + 1 });
      }),
    async list() {
      const list: LeaseList = { leases: [], unreadable: [] };
      for (const cellId of await cellIds()) {
        const found = await readListed(cellId);
        if (found.kind === 'lease') list.leases.push(found.lease);
        if (found.kind === 'unreadable') list.unreadable.push({ cellId, reason: found.reason });
      }
      return list;
    },
    count: async () => (await cellIds()).length,
    async waitForCount(enough, signal) {
      for (;;) {
        signal.throwIfAborted();
        // Listened for before counting: a place that is freed in between is not missed.
        using freed = nextFreed(places, signal);
        const { length } = await cellIds();
        if (enough(length)) return length;
        await freed.wait();
      }
    },
    remove: (cellId) =>
      oneAtATime(cellId, async () => {
        const existed = await discard(stateDirectory, pathsOf(cellId).directory);
        places.emit('freed');
        return existed;
      }),
    quarantine: (cellId) =>
      oneAtATime(cellId, async () => {
        if ((await readListed(cellId)).kind !== 'unreadable') return false;
        await mkdir(directories.quarantine, { recursive: true, mode: 0o700 });
        await rename(pathsOf(cellId).directory, join(directories.quarantine, `${cellId}.${Date.now()}`));
        places.emit('freed');
        return true;
      }),
  };
}

/** @throws when the lease is not one that could be read again */
function textOf(lease: Lease): string {
  const text = `${JSON.stringify(lease, null, 2)}\n`;
  const parsed = parseLease(text);
  if ('reason' in parsed) throw new Error(`not a lease: ${parsed.reason}`);
  return text;
}

/** Begins to listen at once; `wait` ends with the next place that is freed, and after a second in any case. */
function nextFreed(places: EventEmitter<{ freed: [] }>, signal: AbortSignal): Disposable & { wait(): Promise<void> } {
  const over = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  places.once('freed', resolve);
  return {
    wait: () => Promise.race([promise, delay(pollMs, undefined, { signal: AbortSignal.any([signal, over.signal]) })]),
    [Symbol.dispose]() {
      places.off('freed', resolve);
      over.abort();
    },
  };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
