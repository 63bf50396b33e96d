import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { closeCell } from '../../../src/cell/close-cell.ts';
import { newLease } from '../../../src/cell/lease.ts';
import { createLeaseStore } from '../../../src/cell/leases.ts';
import { cellPaths } from '../../../src/cell/paths.ts';
import { findUnowned, releaseUnowned } from '../../../src/cell/reaper.ts';
import { discard } from '../../../src/cell/trash.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import { type CellHostUnderTest, startCellHost } from '../../support/cell-host.ts';
import { processesMarked } from '../../support/processes.ts';
import { remainsOf } from '../../support/remains.ts';
import { canMount, fillDisk, smallDisk } from '../../support/small-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

// A disk that is really full is a small one that is mounted for it, which takes root and a machine that lets it.
const mounts = await canMount();

describe('a lease', () => {
  test.skipIf(!mounts)('stays as it was when the disk has room for a part of the new one, and no more', async () => {
    await using directory = await temporaryDirectory();
    await using _disk = await smallDisk(directory.path, 256);
    const leases = createLeaseStore(directory.path);
    const cellId = '0123456789abcdef';
    const lease = await leases.createOrKeep(longLease(cellId));
    const { lease: file } = cellPaths(directory.path, cellId);
    const before = await readFile(file, 'utf8');
    {
      await using _full = await fillDisk(directory.path, 4096);
      await expect(leases.update(cellId, { port: 9001 })).rejects.toThrow('ENOSPC');
    }
    expect(await readFile(file, 'utf8')).toBe(before);
    expect(await leases.update(cellId, { port: 9001 })).toEqual({ ...lease, port: 9001 });
    expect(await readdir(dirname(file))).toEqual(['lease.json']);
  });
});

test.skipIf(!mounts)('what is thrown away is gone also where there is no room for a trash', async () => {
  await using directory = await temporaryDirectory();
  await using _disk = await smallDisk(directory.path, 256, 16);
  const thrown = join(directory.path, 'thrown');
  await mkdir(join(thrown, 'inside'), { recursive: true });
  const fill = async () => {
    for (let number = 0; ; number += 1) await writeFile(join(directory.path, `${number}`), '');
  };
  await expect(fill()).rejects.toThrow('ENOSPC');
  expect(await discard(directory.path, thrown)).toBe(true);
  expect(await readdir(directory.path)).not.toContain('thrown');
  expect(await discard(directory.path, thrown)).toBe(false);
});

describe('a cell on a disk that is full', () => {
  const full = test.skipIf(!mounts);

  full('is torn down, and leaves nothing', async () => {
    await using place = await hostOnSmallDisk();
    const { cellId, port } = await place.spawn({ agentId: 'torn-down' });
    await using _full = await fillDisk(place.stateDirectory);
    await expectNoRoom(place, cellId);
    await place.steps.teardownCell({ cellId });
    expect(await remainsOf(place, cellId, port)).toEqual([]);
  });

  full('is released by the reaper when its run has ended', async () => {
    await using place = await hostOnSmallDisk();
    const { cellId, port } = await place.spawn({ agentId: 'reaped' });
    await using _full = await fillDisk(place.stateDirectory);
    await expectNoRoom(place, cellId);
    const found = await findUnowned(place.host, async () => false);
    expect(await Promise.all(found.map((unowned) => releaseUnowned(place.host, unowned)))).toEqual([true]);
    expect(await remainsOf(place, cellId, port)).toEqual([]);
  });

  full('stays with its work when its host closes, for there is no room to keep it', async () => {
    await using place = await hostOnSmallDisk();
    const { cellId, worktree } = await place.spawn({ agentId: 'closed' });
    await writeFile(join(worktree, 'work.txt'), 'work');
    await using _full = await fillDisk(place.stateDirectory);
    await expectNoRoom(place, cellId);
    await expect(closeCell(place.host, cellId)).rejects.toThrow('ENOSPC');
    expect(await readFile(join(worktree, 'work.txt'), 'utf8')).toBe('work');
  });

  full('has its agent ended by a revert, which keeps the work once there is room', async () => {
    await using place = await hostOnSmallDisk();
    const { cellId, worktree } = await place.spawn({ agentId: 'reverted' });
    await writeFile(join(worktree, 'work.txt'), 'work');
    const revert = () => place.steps.revertWork({ cellId, reason: 'The tests failed.' });
    {
      await using _full = await fillDisk(place.stateDirectory);
      await expect(revert()).rejects.toThrow('ENOSPC');
      expect(await processesMarked(cellMarker, cellId)).toEqual([]);
      expect(await readFile(join(worktree, 'work.txt'), 'utf8')).toBe('work');
    }
    const { revertedRef } = await revert();
    expect(await place.repository.git('show', `${revertedRef}:work.txt`)).toBe('work');
  });
});

/** As when an agent has filled the disk of the host, which is no disk of the repository. */
async function hostOnSmallDisk(): Promise<CellHostUnderTest> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  stack.use(await smallDisk(directory.path, 64 * 1024));
  const place = stack.use(await startCellHost({ stateDirectory: directory.path }));
  const owned = stack.move();
  return { ...place, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function expectNoRoom({ host }: CellHostUnderTest, cellId: string): Promise<void> {
  await expect(host.leases.raiseGeneration(cellId)).rejects.toThrow('ENOSPC');
}

/** Takes more than a block of the disk. */
function longLease(cellId: string) {
  const owner = { workflowId: 'cell/task/agent', runId: 'run', agentId: 'a'.repeat(5000), taskId: 'task', respawn: 0 };
  return newLease({ cellId, owner, host: 'host', runtime: 'process', model: 'scripted/model', agentType: 'worker' });
}
