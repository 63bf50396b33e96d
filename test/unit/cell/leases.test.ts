import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Lease, newLease, parseLease } from '../../../src/cell/lease.ts';
import { createLeaseStore, type LeaseStore, NoLease, Superseded } from '../../../src/cell/leases.ts';
import { cellPaths, hostPaths } from '../../../src/cell/paths.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const never = new AbortController().signal;
const cellId = (number: number) => number.toString(16).padStart(16, '0');

describe('creating a lease', () => {
  test('writes it, for its owner alone to read, and finds it again in another worker', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const { lease: file, directory } = cellPaths(host.path, cellId(1));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await readdir(directory)).toEqual(['lease.json']);
    const found = await createLeaseStore(host.path).read(cellId(1));
    expect(found).toEqual({ kind: 'lease', lease: leaseOf(1) });
  });

  test('keeps the lease that there is', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    await host.leases.update(cellId(1), { state: 'ready', port: 9001 });
    expect(await host.leases.createOrKeep(leaseOf(1))).toMatchObject({ state: 'ready', port: 9001 });
  });

  test('lets one of many win who try at once', async () => {
    await using host = await newHost();
    const stores = Array.from({ length: 8 }, () => createLeaseStore(host.path));
    const created = stores.map((store, number) => store.createOrKeep({ ...leaseOf(1), host: `host ${number}` }));
    const hosts = (await Promise.all(created)).map((lease) => lease.host);
    expect(new Set(hosts).size).toBe(1);
  });

  test('refuses to write what could not be read again', async () => {
    await using host = await newHost();
    await expect(host.leases.createOrKeep({ ...leaseOf(1), port: 70_000 })).rejects.toThrow('not a lease: port');
    expect(await host.leases.list()).toMatchObject({ leases: [] });
  });
});

describe('updating a lease', () => {
  test('changes what is named and keeps the rest', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const updated = await host.leases.update(cellId(1), { port: 9001 });
    expect(updated).toEqual({ ...leaseOf(1), port: 9001 });
    expect(await host.leases.read(cellId(1))).toEqual({ kind: 'lease', lease: updated });
  });

  test('loses no change when many come at once', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep({ ...leaseOf(1), tokenBudget: 0 });
    const add = (lease: Lease) => ({ tokenBudget: (lease.tokenBudget ?? 0) + 1 });
    await Promise.all(Array.from({ length: 20 }, () => host.leases.update(cellId(1), add)));
    expect(await host.leases.update(cellId(1), {})).toMatchObject({ tokenBudget: 20 });
  });

  test('is refused to an attempt that was superseded, and to no other', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const { generation: earlier } = await host.leases.raiseGeneration(cellId(1));
    const { generation: later } = await host.leases.raiseGeneration(cellId(1));
    expect([earlier, later]).toEqual([1, 2]);
    await expect(host.leases.update(cellId(1), { port: 9001 }, earlier)).rejects.toThrow(Superseded);
    expect(await host.leases.update(cellId(1), { port: 9002 }, later)).toMatchObject({ port: 9002, generation: 2 });
  });

  test('makes no lease where there is none', async () => {
    await using host = await newHost();
    await expect(host.leases.update(cellId(1), { port: 9001 })).rejects.toThrow(NoLease);
    await expect(host.leases.raiseGeneration(cellId(1))).rejects.toThrow(NoLease);
    expect(await host.leases.count()).toBe(0);
  });
});

describe('a lease that cannot be read', () => {
  const damages = [
    ['is cut short', (text: string) => text.slice(0, 100), /JSON/],
    ['is empty', () => '', /JSON/],
    ['is of a later version', (text: string) => text.replace('"version": 1', '"version": 2'), /^version/],
    ['has a field that is not known', (text: string) => text.replace('{', '{ "colour": "red",'), /^colour/],
    ['lacks a field', (text: string) => text.replace(/"port": null,/, ''), /^port/],
    ['is of another cell', (text: string) => text.replaceAll(cellId(1), cellId(2)), /lease of/],
  ] as const;

  test.each(damages)('is named and counted when it %s', async (_name, damage, reason) => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const { lease: file } = cellPaths(host.path, cellId(1));
    await writeFile(file, damage(await readFile(file, 'utf8')));
    const unreadable = { kind: 'unreadable', reason: expect.stringMatching(reason) };
    expect(await host.leases.read(cellId(1))).toEqual(unreadable);
    expect(await host.leases.list()).toMatchObject({ leases: [], unreadable: [{ cellId: cellId(1) }] });
    expect(await host.leases.count()).toBe(1);
    await expect(host.leases.update(cellId(1), {})).rejects.toThrow(NoLease);
    await expect(host.leases.createOrKeep(leaseOf(1))).rejects.toThrow(NoLease);
  });

  test('is set aside, where it takes no place; one that can be read is not', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    await host.leases.createOrKeep(leaseOf(2));
    await writeFile(cellPaths(host.path, cellId(1)).lease, 'damaged');
    expect(await host.leases.quarantine(cellId(1))).toBe(true);
    expect(await host.leases.quarantine(cellId(2))).toBe(false);
    expect(await host.leases.quarantine(cellId(3))).toBe(false);
    expect(await host.leases.count()).toBe(1);
    expect(await readdir(hostPaths(host.path).quarantine)).toEqual([expect.stringMatching(`^${cellId(1)}\\.`)]);
  });

  test('is a directory without a lease, which a worker left that died in between', async () => {
    await using host = await newHost();
    await mkdir(cellPaths(host.path, cellId(1)).directory, { recursive: true });
    expect(await host.leases.read(cellId(1))).toEqual({ kind: 'missing' });
    expect(await host.leases.list()).toMatchObject({ unreadable: [{ cellId: cellId(1) }] });
    expect(await host.leases.createOrKeep(leaseOf(1))).toEqual(leaseOf(1));
  });
});

describe('listing leases', () => {
  test('finds none before there is a directory, and passes over what is not a cell', async () => {
    await using host = await newHost();
    expect(await host.leases.list()).toEqual({ leases: [], unreadable: [] });
    await host.leases.createOrKeep(leaseOf(1));
    await mkdir(`${dirname(cellPaths(host.path, cellId(1)).directory)}/lost+found`);
    expect(await host.leases.list()).toEqual({ leases: [leaseOf(1)], unreadable: [] });
    expect(await host.leases.count()).toBe(1);
  });
});

describe('removing a lease', () => {
  test('leaves nothing of the cell and succeeds again', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const { directory, home } = cellPaths(host.path, cellId(1));
    await mkdir(home);
    expect(await host.leases.remove(cellId(1))).toBe(true);
    expect(await host.leases.remove(cellId(1))).toBe(false);
    expect(await host.leases.read(cellId(1))).toEqual({ kind: 'missing' });
    await expect(stat(directory)).rejects.toThrow('ENOENT');
    expect(await readdir(hostPaths(host.path).trash)).toEqual([]);
  });
});

test('a lease of a version that did not limit the disk is read, without that limit', () => {
  const lease = { ...leaseOf(1), limits: { memory: 1, cpus: null, pids: 2 } };
  expect(parseLease(JSON.stringify(lease))).toEqual({ lease: { ...lease, limits: { ...lease.limits, disk: null } } });
});

describe('waiting for a place', () => {
  const below = (limit: number) => (count: number) => count < limit;

  test('ends at once when there is one', async () => {
    await using host = await newHost();
    expect(await host.leases.waitForCount(below(1), never)).toBe(0);
  });

  test('ends as soon as this worker removes a lease', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const waiting = host.leases.waitForCount(below(1), never);
    const startedAt = performance.now();
    await host.leases.remove(cellId(1));
    expect(await waiting).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(900);
  });

  test('ends when another process removes one', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const waiting = host.leases.waitForCount(below(1), never);
    await createLeaseStore(host.path).remove(cellId(1));
    expect(await waiting).toBe(0);
  });

  test('is given up when its signal aborts', async () => {
    await using host = await newHost();
    await host.leases.createOrKeep(leaseOf(1));
    const abort = new AbortController();
    const waiting = host.leases.waitForCount(below(1), abort.signal);
    abort.abort();
    await expect(waiting).rejects.toThrow(/abort/i);
  });
});

interface TestHost extends AsyncDisposable {
  path: string;
  leases: LeaseStore;
}

async function newHost(): Promise<TestHost> {
  const directory = await temporaryDirectory();
  return {
    path: directory.path,
    leases: createLeaseStore(directory.path),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

function leaseOf(number: number): Lease {
  const lease = newLease({
    cellId: cellId(number),
    owner: { workflowId: `cell/task/${number}`, runId: 'run', agentId: 'agent', taskId: 'task', respawn: 0 },
    host: 'host',
    runtime: 'process',
    model: 'scripted/model',
    agentType: 'worker',
  });
  return { ...lease, createdAt: 1_700_000_000_000 };
}
