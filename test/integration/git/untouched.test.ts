import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commitTree } from '../../../src/git/commit.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { keepReverted, restoreWorktree } from '../../../src/git/revert.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository, type TemporaryRepository } from '../../support/temporary-repository.ts';
import { cellIn, date, fingerprint } from './life.ts';

/** Somebody's repository in the middle of work: staged, unstaged, untracked, ignored, stashed and merged halfway, with hooks. */
async function dirtyRepository() {
  const repository = await temporaryRepository({ 'a.txt': 'a\n', 'b.txt': 'b\n', '.gitignore': 'ignored\n' });
  await repository.write({ 'a.txt': 'stashed\n' });
  await repository.git('stash');
  await repository.git('branch', 'other');
  await repository.git('checkout', '--quiet', 'other');
  await repository.write({ 'b.txt': 'other\n' });
  await repository.git('commit', '--quiet', '--all', '-m', 'Other');
  await repository.git('checkout', '--quiet', 'main');
  await repository.write({ 'b.txt': 'main\n' });
  await repository.git('commit', '--quiet', '--all', '-m', 'Main');
  await repository.git('merge', 'other').catch(() => 'a conflict, as intended');
  await repository.write({ 'staged.txt': 'staged', ignored: 'x' });
  await repository.git('add', 'staged.txt');
  await repository.write({ 'a.txt': 'unstaged', 'untracked.txt': 'x' });
  for (const hook of ['post-checkout', 'pre-commit', 'post-commit', 'reference-transaction', 'post-index-change']) {
    const path = join(repository.path, '.git/hooks', hook);
    await writeFile(path, `#!/bin/sh\ntouch ${repository.path}/hook-ran\n`);
    await chmod(path, 0o755);
  }
  return repository;
}

/** All of the repository but its objects, and the refs and worktrees that are ours. */
async function stateOf(repository: TemporaryRepository): Promise<string[]> {
  const ours = /^\.git\/(objects|worktrees)(\/|$)|^\.git\/refs\/(heads\/)?cells(\/|$)/;
  const lines = await fingerprint(repository.path, (name) => ours.test(name));
  // Looking must not write the index: the test would disturb what it compares.
  const status = await repository.git('--no-optional-locks', 'status', '--porcelain', '--ignored');
  return [...lines, status, await repository.git('stash', 'list')];
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
