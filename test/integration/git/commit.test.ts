import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agentCommits } from '../../../src/git/agent-commits.ts';
import { commitTree, moveBranch } from '../../../src/git/commit.ts';
import { CommitRefused } from '../../../src/git/errors.ts';
import { GitFailed } from '../../../src/git/git.ts';
import { findTipOf } from '../../../src/git/repository.ts';
import { canMount, smallDisk } from '../../support/small-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { type Cell, cellIn, cellWith, date } from './life.ts';

const branch = 'cells/task/agent';

async function work(cell: Omit<Cell, typeof Symbol.asyncDispose>, content = 'work\n') {
  await writeFile(join(cell.worktree, 'work.txt'), content);
  const { tree } = await cell.snapshot();
  const { gitDirectory, baseCommit, cellId } = cell;
  return { gitDirectory, baseCommit, cellId, tree, branch, date, message: 'Do the task\n\nAs asked.' };
}

/** A disk that is full is one that was mounted for it, which not every user, or container, may do. */
const mounts = await canMount();

describe('committing', () => {
  test('makes one commit of the tree on its base, by our author, and points the branch at it', async () => {
    await using cell = await cellWith();
    const wanted = await work(cell);
    const { commit } = await commitTree(wanted);
    const shown = await cell.repository.git('show', '--no-patch', '--format=%T %P|%an <%ae>|%cI|%B', branch);
    expect(shown.trimEnd()).toBe(
      `${wanted.tree} ${cell.baseCommit}|agent-cells <agent-cells@localhost>|2026-01-01T00:00:00+00:00|${wanted.message}`,
    );
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(commit);
  });

  test('a second time makes the very same commit, and nothing is superseded', async () => {
    await using cell = await cellWith();
    const wanted = await work(cell);
    const first = await commitTree(wanted);
    expect(await commitTree(wanted)).toEqual(first);
    expect(await cell.repository.git('for-each-ref', 'refs/cells')).toBe('');
  });

  test('keeps what the branch of an earlier run pointed at, each time', async () => {
    await using cell = await cellWith();
    const first = await commitTree({ ...(await work(cell, 'one')), cellId: 'cell0' });
    const second = await commitTree(await work(cell, 'two'));
    const third = await commitTree(await work(cell, 'three'));
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(third.commit);
    const kept = await cell.repository.git(
      'for-each-ref',
      '--format=%(refname) %(objectname)',
      'refs/cells/superseded',
    );
    expect(kept.split('\n')).toEqual([
      `refs/cells/superseded/cell1 ${first.commit}`,
      `refs/cells/superseded/cell1-${second.commit.slice(0, 12)} ${second.commit}`,
    ]);
  });

  test('is refused when the branch was moved meanwhile, and changes nothing', async () => {
    await using cell = await cellWith();
    const { commit } = await commitTree(await work(cell));
    const move = { gitDirectory: cell.gitDirectory, branch, cellId: 'cell2', to: cell.baseCommit };
    for (const from of [null, cell.baseCommit.replaceAll(/./g, 'a')]) {
      await expect(moveBranch({ ...move, from })).rejects.toThrow(CommitRefused);
    }
    await expect(moveBranch({ ...move, to: commit, from: cell.baseCommit })).rejects.toThrow(/moved by someone else/);
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(commit);
    expect(await cell.repository.git('for-each-ref', 'refs/cells')).toBe('');
  });

  test('is refused when the branch is checked out, in the main checkout or another', async () => {
    await using cell = await cellWith();
    await using directory = await temporaryDirectory();
    const wanted = await work(cell);
    await cell.repository.git('checkout', '--quiet', '-b', branch);
    await expect(commitTree(wanted)).rejects.toThrow(CommitRefused);
    await cell.repository.git('checkout', '--quiet', 'main');
    await cell.repository.git('worktree', 'add', '--quiet', join(directory.path, 'theirs'), branch);
    await expect(commitTree(wanted)).rejects.toThrow(join(directory.path, 'theirs'));
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(cell.baseCommit);
  });

  test.each([
    ['main', 'HEAD'],
    ['theirs', 'worktrees/theirs/HEAD'],
  ])('is refused when the branch is checked out by a HEAD that is a symbolic link, in %s', async (_name, head) => {
    await using cell = await cellWith();
    await using directory = await temporaryDirectory();
    const wanted = await work(cell);
    await cell.repository.git('branch', branch);
    await cell.repository.git('worktree', 'add', '--quiet', '--detach', join(directory.path, 'theirs'));
    await rm(join(cell.gitDirectory, head));
    await symlink(`refs/heads/${branch}`, join(cell.gitDirectory, head));
    await expect(commitTree(wanted)).rejects.toThrow(CommitRefused);
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(cell.baseCommit);
  });

  test('is refused when a worktree has the branch as one that is not born yet', async () => {
    await using cell = await cellWith();
    const wanted = await work(cell);
    await cell.repository.git('checkout', '--quiet', '--orphan', branch);
    await expect(commitTree(wanted)).rejects.toThrow(CommitRefused);
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(null);
  });

  test('is refused when the HEAD of a bare repository is the branch', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const bare = join(directory.path, 'bare.git');
    await repository.git('clone', '--quiet', '--bare', '.', bare);
    const cell = await cellIn(repository, directory.path, 'cell1', bare);
    await repository.git('-C', bare, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`);
    await expect(commitTree(await work(cell))).rejects.toThrow(CommitRefused);
  });

  test('is refused when the agent and somebody else have checked the branch out', async () => {
    await using cell = await cellWith();
    await using directory = await temporaryDirectory();
    await cell.repository.git('-C', cell.worktree, 'checkout', '--quiet', '-b', branch);
    await cell.repository.git('worktree', 'add', '--quiet', '--force', join(directory.path, 'theirs'), branch);
    await expect(commitTree(await work(cell))).rejects.toThrow(CommitRefused);
  });

  test('is not refused when the agent itself switched to the branch', async () => {
    await using cell = await cellWith();
    await cell.repository.git('-C', cell.worktree, 'checkout', '--quiet', '-b', branch);
    const { commit } = await commitTree(await work(cell));
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(commit);
  });

  test.each(['cells/task', 'cells/task/agent/more'])(
    'is refused when there is a branch %s, which it names',
    async (other) => {
      await using cell = await cellWith();
      await cell.repository.git('branch', other);
      const committing = commitTree(await work(cell));
      await expect(committing).rejects.toThrow(CommitRefused);
      await expect(committing).rejects.toThrow(`refs/heads/${other} exists`);
    },
  );

  test('names the lock that is in the way, after some patience', async () => {
    await using cell = await cellWith();
    const lock = join(cell.gitDirectory, `refs/heads/${branch}.lock`);
    await mkdir(join(lock, '..'), { recursive: true });
    await writeFile(lock, '');
    const committing = commitTree(await work(cell));
    await expect(committing).rejects.toThrow(CommitRefused);
    await expect(committing).rejects.toThrow(lock);
  });

  test.skipIf(!mounts)('fails, and is not refused for good, while the disk is full', async () => {
    await using cell = await cellWith();
    const wanted = await work(cell);
    const directory = join(cell.gitDirectory, 'refs/heads/cells');
    await mkdir(directory);
    await using _disk = await smallDisk(directory, 1024);
    const filling = join(directory, 'filling.lock');
    await expect(writeFile(filling, Buffer.alloc(2 * 1024 * 1024))).rejects.toThrow('ENOSPC');
    await expect(commitTree(wanted)).rejects.toThrow(GitFailed);
    await rm(filling);
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(null);
    const { commit } = await commitTree(wanted);
    expect(await findTipOf(cell.gitDirectory, branch)).toBe(commit);
  });
});

describe('the commits of the agent', () => {
  test('are told with their whole messages, the latest first', async () => {
    await using cell = await cellWith();
    const git = (...args: string[]) => cell.repository.git('-C', cell.worktree, ...args);
    await git('commit', '--quiet', '--allow-empty', '-m', 'First', '-m', 'With a body\nof two lines');
    const first = await git('rev-parse', 'HEAD');
    await git('commit', '--quiet', '--allow-empty', '-m', 'Second');
    const found = await agentCommits({
      gitDirectory: cell.gitDirectory,
      worktree: cell.worktree,
      baseCommit: cell.baseCommit,
    });
    expect(found).toEqual([
      { commit: await git('rev-parse', 'HEAD'), message: 'Second' },
      { commit: first, message: 'First\n\nWith a body\nof two lines' },
    ]);
  });

  test('are none when it made none, and when its HEAD is broken', async () => {
    await using cell = await cellWith();
    const wanted = { gitDirectory: cell.gitDirectory, worktree: cell.worktree, baseCommit: cell.baseCommit };
    expect(await agentCommits(wanted)).toEqual([]);
    await writeFile(join(cell.gitDirectory, 'worktrees/cell1/HEAD'), 'ref: refs/heads/nothing\n');
    expect(await agentCommits(wanted)).toEqual([]);
    await writeFile(join(cell.gitDirectory, 'worktrees/cell1/HEAD'), 'garbage');
    expect(await agentCommits(wanted)).toEqual([]);
    expect(await readFile(join(cell.worktree, 'README.md'), 'utf8')).toBe('# A repository\n');
  });
});
