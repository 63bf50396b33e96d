import { writeFile } from 'node:fs/promises';
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
});
