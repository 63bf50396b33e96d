import { lstat, readFile, writeFile } from 'node:fs/promises';
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
    await writeUnstorable(place.repository, file);
    const { worktreeCopy } = cellPaths(place.stateDirectory, cellId);
    return { cellId, worktree, file, copy: join(worktreeCopy, 'work.txt'), work: await readFile(file, 'utf8') };
  }
  const revert = (cellId: string) => place.steps.revertWork({ cellId, reason: 'The tests failed.' });

  test('keeps it as files', async () => {
    const cell = await cellWithUnstorable();
    expect(await revert(cell.cellId)).toMatchObject({ revertedRef: null, filesModified: [] });
    expect(await readFile(cell.copy, 'utf8')).toBe(cell.work);
    await expect(lstat(cell.file)).rejects.toThrow('ENOENT');
  });

  test('fails and leaves it where it is while not all of it can be copied either', async () => {
    const cell = await cellWithUnstorable();
    await execa('mkfifo', [join(cell.worktree, 'pipe')]);
    await expect(revert(cell.cellId)).rejects.toThrow('unable to create temporary file');
    expect(await readFile(cell.file, 'utf8')).toBe(cell.work);
  });
});

/** Writes a file for whose object there is no room in the repository: a file stands where a directory would have to be. */
async function writeUnstorable({ path, git }: CellHostUnderTest['repository'], file: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    await writeFile(file, `work ${attempt}\n`);
    const directory = join(path, '.git/objects', (await git('hash-object', file)).slice(0, 2));
    // One that is there has objects of the base.
    if ((await lstat(directory).catch(() => null)) !== null) continue;
    await writeFile(directory, '');
    return;
  }
}
