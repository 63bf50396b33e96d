import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Lease, newLease } from '../../../../src/cell/lease.ts';
import { type ObservedNeeds, firstGuess, loadObservedNeeds } from '../../../../src/worker/admission/observed-needs.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const megabyte = 1024 ** 2;
const worker = { runtime: 'process', agentType: 'worker' } as const;
const builder = { runtime: 'process', agentType: 'builder' } as const;

let cells = 0;

describe('what cells are expected to need', () => {
  test('is a guess before any was seen', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    expect(needs.nextMemory()).toBe(firstGuess.memory);
    expect(needs.memoryOf(worker)).toBe(firstGuess.memory);
    expect(needs.nextDisk()).toBe(firstGuess.disk);
  });

  test('is at least the guess until five of a kind were seen, and then what nine of ten needed', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    for (let seen = 0; seen < 4; seen += 1) await live(needs, worker, [100]);
    expect(needs.memoryOf(worker)).toBe(firstGuess.memory);
    for (let seen = 0; seen < 16; seen += 1) await live(needs, worker, [150]);
    expect(needs.memoryOf(worker)).toBe(150 * megabyte);
    await live(needs, worker, [9000]);
    expect(needs.memoryOf(worker), 'one of many').toBe(150 * megabyte);
    for (let seen = 0; seen < 3; seen += 1) await live(needs, worker, [700]);
    expect(needs.memoryOf(worker)).toBe(700 * megabyte);
  });

  test('is the peak of a life and not its end, and says what a cell holds meanwhile', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    const lease = leaseOf(worker);
    expect(needs.heldBy(lease.cellId)).toBe(0);
    for (const size of [100, 800, 300]) {
      await needs.observe([lease], new Map([[lease.cellId, size * megabyte]]));
      expect(needs.heldBy(lease.cellId)).toBe(size * megabyte);
    }
    await needs.observe([], new Map());
    expect(needs.memoryOf(worker)).toBe(800 * megabyte);
  });

  test('is kept by kind, and the next cell is taken for the largest that ran lately', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    for (let seen = 0; seen < 5; seen += 1) await live(needs, builder, [2000]);
    for (let seen = 0; seen < 5; seen += 1) await live(needs, worker, [300]);
    expect(needs.memoryOf(worker)).toBe(300 * megabyte);
    expect(needs.memoryOf({ ...worker, runtime: 'docker' })).toBe(firstGuess.memory);
    expect(needs.nextMemory()).toBe(2000 * megabyte);
    for (let seen = 0; seen < 50; seen += 1) await live(needs, worker, [300]);
    expect(needs.nextMemory(), 'no builder for fifty cells').toBe(300 * megabyte);
  });

  test('is known to the next worker, and a damaged file counts as none', async () => {
    await using directory = await temporaryDirectory();
    await live(await loadObservedNeeds(directory.path), worker, [900]);
    expect((await loadObservedNeeds(directory.path)).nextMemory()).toBe(900 * megabyte);
    await writeFile(join(directory.path, 'observed-needs.json'), '{"version":1,"peaks":[{"bytes":');
    expect((await loadObservedNeeds(directory.path)).nextMemory()).toBe(firstGuess.memory);
  });

  test('takes no notice of a cell of which nothing was seen', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    for (let seen = 0; seen < 9; seen += 1) await live(needs, worker, [0]);
    expect(needs.memoryOf(worker)).toBe(firstGuess.memory);
  });

  test('of the disk is what nine of ten cells held', async () => {
    await using directory = await temporaryDirectory();
    const needs = await loadObservedNeeds(directory.path);
    for (let seen = 0; seen < 10; seen += 1) needs.observeDisk(seen * megabyte);
    expect(needs.nextDisk()).toBe(8 * megabyte);
  });
});

/** A cell is seen at these sizes, in megabytes, one after the other, and then is gone. */
async function live(needs: ObservedNeeds, kind: Pick<Lease, 'runtime' | 'agentType'>, sizes: number[]): Promise<void> {
  const lease = leaseOf(kind);
  for (const size of sizes) await needs.observe([lease], new Map([[lease.cellId, size * megabyte]]));
  await needs.observe([], new Map());
}

function leaseOf(kind: Pick<Lease, 'runtime' | 'agentType'>): Lease {
  return newLease({
    ...kind,
    cellId: String((cells += 1)).padStart(16, '0'),
    owner: { workflowId: 'cell/task/agent', runId: 'run', agentId: 'agent', taskId: 'task', respawn: 0 },
    host: 'host',
    model: 'scripted/default',
  });
}
