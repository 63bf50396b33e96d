import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commitTree } from '../../../src/git/commit.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { keepReverted, restoreWorktree } from '../../../src/git/revert.ts';
import { makeDirty, stateOf } from '../../support/dirty-repository.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { cellIn, date } from './life.ts';

async function dirtyRepository() {
  const repository = await temporaryRepository();
  await makeDirty(repository);
  return repository;
}

describe("the caller's repository in the middle of work", () => {
  test('is the same, bit for bit, after a cell that committed, and is readable by its owner', async () => {
    await using repository = await dirtyRepository();
    await using directory = await temporaryDirectory();
    const before = await stateOf(repository);
    const cell = await cellIn(repository, directory.path);
    const { gitDirectory, baseCommit, cellId, worktree } = cell;
    await writeFile(join(worktree, 'a.txt'), 'work\n');
    const { tree } = await cell.snapshot(['b.txt']);
    await commitTree({ gitDirectory, baseCommit, cellId, tree, date, branch: 'cells/task/agent', message: 'Work' });
    await removeWorktree({ gitDirectory, path: worktree });
    expect(await stateOf(repository)).toEqual(before);
    expect(await repository.git('diff', '--stat', 'HEAD', 'cells/task/agent')).toContain('a.txt');
    await expect(repository.git('fsck', '--strict')).resolves.toBeDefined();
  });

  test('is the same, bit for bit, after a cell that was reverted', async () => {
    await using repository = await dirtyRepository();
    await using directory = await temporaryDirectory();
    const before = await stateOf(repository);
    const cell = await cellIn(repository, directory.path);
    const { gitDirectory, baseCommit, cellId, worktree } = cell;
    await writeFile(join(worktree, 'a.txt'), 'work\n');
    const { tree } = await cell.snapshot();
    await keepReverted({ gitDirectory, baseCommit, cellId, tree, date, message: 'Reverted' });
    await restoreWorktree({ gitDirectory, worktree, baseCommit });
    await removeWorktree({ gitDirectory, path: worktree });
    expect(await stateOf(repository)).toEqual(before);
  });
});
