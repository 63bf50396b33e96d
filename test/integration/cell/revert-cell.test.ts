import { lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { type CellHostUnderTest, startCellHost } from '../../support/cell-host.ts';

describe('a revert of work that git does not take, and nobody knows why,', () => {
  let place: CellHostUnderTest;
  beforeAll(async () => {
    place = await startCellHost();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  async function cellWithUnstorable() {
    const { cellId, worktree } = await place.spawn({ agentId: 'reverted' });
    const file = join(worktree, 'work.txt');
    const obstacle = await writeUnstorable(place.repository, file);
    const { worktreeCopy } = cellPaths(place.stateDirectory, cellId);
    const copy = join(worktreeCopy, 'work.txt');
    return { cellId, worktree, file, obstacle, copy, work: await readFile(file, 'utf8') };
  }
  const revert = (cellId: string) => place.steps.revertWork({ cellId, reason: 'The tests failed.' });

  test('keeps it as files', async () => {
    const cell = await cellWithUnstorable();
    expect(await revert(cell.cellId)).toMatchObject({ revertedRef: null, filesModified: [] });
    expect(await readFile(cell.copy, 'utf8')).toBe(cell.work);
    await expect(lstat(cell.file)).rejects.toThrow('ENOENT');
  });

  test('keeps the copy of a run that was killed, also when git fails before it is looked for', async () => {
    const cell = await cellWithUnstorable();
    expect(await revert(cell.cellId)).toMatchObject({ revertedRef: null });
    await writeFile(join(cell.worktree, 'rest.txt'), 'the rest');
    const head = join(place.repository.path, '.git/HEAD');
    const whole = await readFile(head);
    await writeFile(head, 'damaged');
    try {
      await revert(cell.cellId);
    } finally {
      await writeFile(head, whole);
    }
    expect(await readFile(cell.copy, 'utf8')).toBe(cell.work);
  });

  test('fails and leaves it where it is, however often it is tried, while not all of it can be copied either', async () => {
    const cell = await cellWithUnstorable();
    await execa('mkfifo', [join(cell.worktree, 'pipe')]);
    for (let run = 0; run < 2; run += 1) {
      await expect(revert(cell.cellId)).rejects.toThrow('unable to create temporary file');
      expect(await readFile(cell.file, 'utf8')).toBe(cell.work);
    }
    await rm(cell.obstacle);
    const { revertedRef } = await revert(cell.cellId);
    expect(await place.repository.git('show', `${revertedRef}:work.txt`)).toBe(cell.work.trim());
    await expect(lstat(cell.file)).rejects.toThrow('ENOENT');
  });
});

/** Writes a file for whose object there is no room in the repository: a file stands where a directory would have to be. Answers which. */
async function writeUnstorable({ path, git }: CellHostUnderTest['repository'], file: string): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    await writeFile(file, `work ${attempt}\n`);
    const directory = join(path, '.git/objects', (await git('hash-object', file)).slice(0, 2));
    // One that is there has objects of the base.
    if ((await lstat(directory).catch(() => null)) !== null) continue;
    await writeFile(directory, '');
    return directory;
  }
}
