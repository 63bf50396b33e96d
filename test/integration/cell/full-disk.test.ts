import { readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { newLease } from '../../../src/cell/lease.ts';
import { createLeaseStore } from '../../../src/cell/leases.ts';
import { cellPaths } from '../../../src/cell/paths.ts';
import { canMount, fillDisk, smallDisk } from '../../support/small-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

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

/** Takes more than a block of the disk. */
function longLease(cellId: string) {
  const owner = { workflowId: 'cell/task/agent', runId: 'run', agentId: 'a'.repeat(5000), taskId: 'task', respawn: 0 };
  return newLease({ cellId, owner, host: 'host', runtime: 'process', model: 'scripted/model', agentType: 'worker' });
}
