import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { DiskSpent, withinDisk } from '../../../src/cell/within-disk.ts';
import { openAudit, readAudit } from '../../../src/journal/audit.ts';
import { createLogger } from '../../../src/telemetry/log.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const mebibyte = 1024 * 1024;
const cellId = '0123456789abcdef';
const never = new AbortController().signal;

describe('work of a cell that may take so much disk and no more', () => {
  test('is aborted when it takes more, and fails for that, whatever it says itself', async () => {
    await using cell = await cellWithDisk(mebibyte);
    const work = async (signal: AbortSignal) => {
      await cell.write(2 * mebibyte);
      // Work that would go on: its end is the abort that is waited for.
      await sleep(60_000, undefined, { signal }).catch(() => {
        throw new Error('the work was cut short');
      });
    };
    await expect(withinDisk(cell.host, cellId, work, never)).rejects.toThrow(DiskSpent);
    expect(await readAudit(cell.host.stateDirectory, 0)).toMatchObject([
      { event: 'alert', what: 'disk', cellId, disk: expect.any(Number) as number, limit: mebibyte },
    ]);
  });

  test('fails when it has taken more by its end, before anybody looked', async () => {
    // A look may come when half of it is written: that is not too much.
    await using cell = await cellWithDisk(3 * mebibyte);
    await expect(withinDisk(cell.host, cellId, () => cell.write(4 * mebibyte), never)).rejects.toThrow(
      /^the files of the cell take 4\.\d MiB; it may have 3 MiB \(CELLS_CELL_DISK\)$/,
    );
  });

  test('fails for files that are empty, and take inodes only', async () => {
    await using cell = await cellWithDisk(2 * mebibyte);
    await expect(withinDisk(cell.host, cellId, () => cell.touch(600), never)).rejects.toThrow(
      /^the files of the cell take 2\.\d MiB; it may have 2 MiB \(CELLS_CELL_DISK\)$/,
    );
  });

  test('answers what it answers below that', async () => {
    await using cell = await cellWithDisk(4 * mebibyte);
    const work = async () => {
      await cell.write(2 * mebibyte);
      return 'done';
    };
    expect(await withinDisk(cell.host, cellId, work, never)).toBe('done');
  });

  test('keeps its own reason when somebody else ends it', async () => {
    await using cell = await cellWithDisk(mebibyte);
    const ended = AbortSignal.abort(new Error('cancelled'));
    // Work that would go on, as above.
    const work = (signal: AbortSignal) => sleep(60_000, undefined, { signal }).catch(() => signal.throwIfAborted());
    await expect(withinDisk(cell.host, cellId, work, ended)).rejects.toThrow('cancelled');
  });
});

async function cellWithDisk(cellDisk: number) {
  const directory = await temporaryDirectory();
  const { worktree, home } = cellPaths(directory.path, cellId);
  await mkdir(worktree, { recursive: true });
  await mkdir(home, { recursive: true });
  const log = createLogger({ level: 'silent', format: 'json' });
  return {
    host: { stateDirectory: directory.path, cellDisk, log, audit: openAudit(directory.path, { by: 'worker' }) },
    /** Half into the worktree and half into the home. */
    async write(bytes: number) {
      for (const place of [worktree, home]) await writeFile(join(place, 'filling'), Buffer.alloc(bytes / 2, 1));
    },
    /** As many empty files. */
    async touch(files: number) {
      for (let file = 0; file < files; file += 1) await writeFile(join(worktree, `empty-${file}`), '');
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
