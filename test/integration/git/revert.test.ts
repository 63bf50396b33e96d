import { once } from 'node:events';
import { lstat, mkdir, rename, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { WorktreeGone } from '../../../src/git/errors.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { keepReverted, restoreWorktree } from '../../../src/git/revert.ts';
import { fingerprint } from '../../support/dirty-repository.ts';
import { cellWith, date } from './life.ts';

/** Without times: the files are written anew. */
const filesOf = async (worktree: string) =>
  (await fingerprint(worktree)).map((line) => line.replace(/ \d+(\.\d+)? (?=\w+$)/, ' '));

describe('restoring a worktree', () => {
  test('leaves exactly the base, whatever was done to it', async () => {
    await using cell = await cellWith({
      'a.txt': 'a',
      'dir/b.txt': 'b',
      'c.txt': 'c',
      'run.sh': '#!/bin/sh\n',
      '.gitignore': 'ignored\n',
    });
    const before = await filesOf(cell.worktree);
    const git = (...args: string[]) => cell.repository.git('-C', cell.worktree, ...args);
    const at = (name: string) => join(cell.worktree, name);
    await writeFile(at('a.txt'), 'changed');
    await git('add', '--all');
    await git('commit', '--quiet', '-m', 'By the agent');
    await git('checkout', '--quiet', '-b', 'by-the-agent');
    const tip = await git('rev-parse', 'HEAD');
    await git('update-index', '--assume-unchanged', 'c.txt');
    await writeFile(at('c.txt'), 'hidden change');
    await writeFile(at('ignored'), 'x');
    await writeFile(at('untracked'), 'x');
    await unlink(at('dir/b.txt'));
    await rename(at('dir'), at('moved'));
    await symlink('/etc', at('dir'));
    await cell.repository.git('init', '--quiet', at('nested/repository'));
    await cell.repository.git('init', '--quiet', at('moved'));
    await writeFile(Buffer.concat([Buffer.from(at('latin-')), Buffer.from([0xe9])]), 'x');
    await unlink(at('.git'));
    await mkdir(at('.git'));
    await writeFile(join(cell.gitDirectory, 'worktrees/cell1/index.lock'), '');

    await restoreWorktree({ gitDirectory: cell.gitDirectory, worktree: cell.worktree, baseCommit: cell.baseCommit });

    expect(await filesOf(cell.worktree)).toEqual(before);
    expect(await git('status', '--porcelain', '--ignored')).toBe('');
    expect(await git('rev-parse', 'HEAD')).toBe(cell.baseCommit);
    expect(await cell.repository.git('rev-parse', 'by-the-agent')).toBe(tip);
    await restoreWorktree({ gitDirectory: cell.gitDirectory, worktree: cell.worktree, baseCommit: cell.baseCommit });
    expect(await filesOf(cell.worktree)).toEqual(before);
  });

  test('takes its HEAD from a branch of the agent also where the repository keeps that as a link', async () => {
    await using cell = await cellWith();
    const { gitDirectory, worktree, baseCommit } = cell;
    const git = (...args: string[]) => cell.repository.git('-C', worktree, ...args);
    const branch = join(gitDirectory, 'refs/heads/by-the-agent');
    await git('checkout', '--quiet', '-b', 'by-the-agent');
    await git('commit', '--quiet', '--allow-empty', '-m', 'By the agent');
    const tip = await git('rev-parse', 'HEAD');
    const head = join(gitDirectory, 'worktrees/cell1/HEAD');
    await unlink(head);
    await symlink(branch, head);
    await restoreWorktree({ gitDirectory, worktree, baseCommit });
    expect(await git('rev-parse', 'HEAD')).toBe(baseCommit);
    expect(await cell.repository.git('rev-parse', 'by-the-agent')).toBe(tip);
    expect((await lstat(head)).isFile()).toBe(true);
  });

  test('never leaves it empty meanwhile: to whoever comes after a run that was killed there, it would be gone', async () => {
    await using cell = await cellWith();
    const { gitDirectory, worktree, baseCommit } = cell;
    const over = new Int32Array(new SharedArrayBuffer(4));
    const looking = new Worker(new URL('look-for-empty.ts', import.meta.url), { workerData: { path: worktree, over } });
    await once(looking, 'message');
    const said = once(looking, 'message');
    // The moment is short: twenty of them are hardly missed.
    for (let round = 0; round < 20; round += 1) await restoreWorktree({ gitDirectory, worktree, baseCommit });
    Atomics.store(over, 0, 1);
    expect(await said).toEqual(['never empty']);
  });

  test('of a worktree that is gone is an error of that name', async () => {
    await using cell = await cellWith();
    await removeWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree });
    const restoring = restoreWorktree({
      gitDirectory: cell.gitDirectory,
      worktree: cell.worktree,
      baseCommit: cell.baseCommit,
    });
    await expect(restoring).rejects.toThrow(WorktreeGone);
  });
});

describe('keeping reverted work', () => {
  test('puts it on its base under a ref of the cell, and a second time the very same', async () => {
    await using cell = await cellWith();
    await writeFile(join(cell.worktree, 'work.txt'), 'work');
    const { gitDirectory, baseCommit, cellId } = cell;
    const { tree } = await cell.snapshot();
    const wanted = { gitDirectory, baseCommit, cellId, tree, date, message: 'Reverted: the tests failed' };
    const kept = await keepReverted(wanted);
    expect(kept.ref).toBe('refs/cells/reverted/cell1');
    expect(await keepReverted(wanted)).toEqual(kept);
    expect(await cell.repository.git('show', '--no-patch', '--format=%H %T %P', kept.ref)).toBe(
      `${kept.commit} ${tree} ${baseCommit}`,
    );
    expect(await cell.repository.git('branch', '--format=%(refname:short)')).toBe('main');
  });

  test('is not undone by a second run that finds the worktree restored', async () => {
    await using cell = await cellWith();
    await writeFile(join(cell.worktree, 'work.txt'), 'work');
    const { gitDirectory, baseCommit, cellId, worktree } = cell;
    const wanted = { gitDirectory, baseCommit, cellId, date, message: 'Reverted' };
    const kept = await keepReverted({ ...wanted, tree: (await cell.snapshot()).tree });
    await restoreWorktree({ gitDirectory, worktree, baseCommit });
    expect(await keepReverted({ ...wanted, tree: (await cell.snapshot()).tree })).toEqual(kept);
  });
});
