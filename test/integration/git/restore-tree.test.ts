import { readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { restoreTree } from '../../../src/git/restore-tree.ts';
import { type Cell, cellWith } from './life.ts';

const indexOf = ({ directory, cellId }: Pick<Cell, 'directory' | 'cellId'>) => join(directory, `${cellId}.index`);

const restore = async (cell: Omit<Cell, typeof Symbol.asyncDispose>, tree: string) =>
  restoreTree({ gitDirectory: cell.gitDirectory, worktree: cell.worktree, indexFile: indexOf(cell), tree });

describe('putting a worktree back to its tree', () => {
  test('is done after a worker died in the middle', async () => {
    await using cell = await cellWith();
    const { tree } = await cell.snapshot();
    await writeFile(join(cell.worktree, 'left'), 'x');
    await writeFile(`${indexOf(cell)}.lock`, '');
    await restore(cell, tree);
    expect((await cell.snapshot()).tree).toBe(tree);
  });

  test('removes a repository that was made in a directory of tracked files, and none behind a link', async () => {
    await using cell = await cellWith({ 'fixture/deep/a.txt': 'a', 'other/b.txt': 'b' });
    const at = (name: string) => join(cell.worktree, name);
    await writeFile(at('fixture/new.txt'), 'new');
    const { tree } = await cell.snapshot();
    for (const name of ['fixture', 'fixture/deep']) await cell.repository.git('init', '--quiet', at(name));
    const outside = join(cell.directory, 'outside');
    await cell.repository.git('init', '--quiet', outside);
    await rm(at('other'), { recursive: true });
    await symlink(outside, at('other'));
    await restore(cell, tree);
    expect((await cell.snapshot()).tree).toBe(tree);
    expect(await readdir(outside)).toEqual(['.git']);
  });
});
