import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WorktreeGone } from '../../../src/git/errors.ts';
import { removeTree, removeWorktree } from '../../../src/git/remove-worktree.ts';
import { addWorktree, assertWorktree } from '../../../src/git/worktree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { cellWith } from './life.ts';

describe('adding a worktree', () => {
  test('checks out the base, detached, and names the entry by the cell', async () => {
    await using cell = await cellWith({ 'a.txt': 'a', 'src/b.txt': 'b' });
    expect((await readdir(cell.worktree)).sort()).toEqual(['.git', 'a.txt', 'src']);
    expect(await readFile(join(cell.gitDirectory, 'worktrees/cell1/HEAD'), 'utf8')).toBe(`${cell.baseCommit}\n`);
    expect(await cell.repository.git('-C', cell.worktree, 'status', '--porcelain')).toBe('');
    expect(await cell.repository.git('branch', '--list', '--format=%(refname)')).not.toContain('cell1');
  });

  test('keeps a complete one, with what the agent wrote', async () => {
    await using cell = await cellWith();
    await writeFile(join(cell.worktree, 'work.txt'), 'work');
    await addWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree, commit: cell.baseCommit });
    expect(await readFile(join(cell.worktree, 'work.txt'), 'utf8')).toBe('work');
  });

  test('fills a directory that is there, and leaves it and its .git the files that they are', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'a' });
    await using directory = await temporaryDirectory();
    const place = { gitDirectory: join(repository.path, '.git'), path: join(directory.path, 'cell1') };
    await mkdir(place.path);
    await writeFile(join(place.path, '.git'), '');
    const inodes = async () =>
      (await Promise.all([place.path, join(place.path, '.git')].map((path) => stat(path)))).map(({ ino }) => ino);
    const before = await inodes();
    await addWorktree({ ...place, commit: repository.commit, prepared: true });
    expect(await inodes()).toEqual(before);
    expect((await readdir(place.path)).sort()).toEqual(['.git', 'a.txt']);
    expect(await repository.git('-C', place.path, 'status', '--porcelain')).toBe('');
    await assertWorktree(place);
    expect(await removeWorktree(place)).toBe(true);
    expect(await readdir(place.gitDirectory)).not.toContain('worktrees');
  });

  test.each([
    ['the checkout did not end', async (admin: string) => rm(join(admin, 'agent-cells-base'))],
    ['the entry is half written', async (admin: string) => rm(join(admin, 'gitdir'))],
    ['the entry is gone', async (admin: string) => rm(admin, { recursive: true })],
    ['the directory is gone', async (_admin: string, worktree: string) => rm(worktree, { recursive: true })],
    [
      'the directory is empty',
      async (_admin: string, worktree: string) => rm(worktree, { recursive: true }).then(() => mkdir(worktree)),
    ],
  ])('makes it again where %s', async (_what, damage) => {
    await using cell = await cellWith();
    await damage(join(cell.gitDirectory, 'worktrees/cell1'), cell.worktree);
    await addWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree, commit: cell.baseCommit });
    await assertWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree });
    expect(await readFile(join(cell.worktree, 'README.md'), 'utf8')).toBe('# A repository\n');
    expect(await readdir(join(cell.gitDirectory, 'worktrees'))).toEqual(['cell1']);
  });

  test('leaves nothing behind when it fails', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const blob = await repository.git('rev-parse', 'HEAD:README.md');
    await rm(join(repository.path, '.git/objects', blob.slice(0, 2), blob.slice(2)));
    const place = { gitDirectory: join(repository.path, '.git'), path: join(directory.path, 'cell1') };
    await expect(addWorktree({ ...place, commit: repository.commit })).rejects.toThrow(blob);
    expect(await readdir(directory.path)).toEqual([]);
    await expect(access(join(place.gitDirectory, 'worktrees'))).rejects.toThrow('ENOENT');
  });

  test('runs no hook of the repository', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const hook = join(repository.path, '.git/hooks/post-checkout');
    await writeFile(hook, `#!/bin/sh\ntouch ${directory.path}/ran\n`);
    await chmod(hook, 0o755);
    await addWorktree({
      gitDirectory: join(repository.path, '.git'),
      path: join(directory.path, 'cell1'),
      commit: repository.commit,
    });
    expect(await readdir(directory.path)).toEqual(['cell1']);
  });

  test('gives a cell all files of a repository whose own checkout is sparse', async () => {
    await using repository = await temporaryRepository({ 'a/1': '1', 'b/2': '2' });
    await using directory = await temporaryDirectory();
    await repository.git('sparse-checkout', 'set', 'a');
    await addWorktree({
      gitDirectory: join(repository.path, '.git'),
      path: join(directory.path, 'cell1'),
      commit: repository.commit,
    });
    expect(await readFile(join(directory.path, 'cell1/b/2'), 'utf8')).toBe('2');
  });
});

describe('removing a worktree', () => {
  test('takes the directory and its entry, and says the second time that nothing was there', async () => {
    await using cell = await cellWith();
    const place = { gitDirectory: cell.gitDirectory, path: cell.worktree };
    expect(await removeWorktree(place)).toBe(true);
    expect(await removeWorktree(place)).toBe(false);
    await expect(access(join(cell.gitDirectory, 'worktrees'))).rejects.toThrow('ENOENT');
  });

  test('takes the entry too that was made for a directory inside, and not led to it yet', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const place = { gitDirectory: join(repository.path, '.git'), path: join(directory.path, 'cell1') };
    // As far as a worker came that died over a directory that was there.
    await repository.git('worktree', 'add', '--quiet', '--detach', join(place.path, 'cell1'));
    expect(await removeWorktree(place)).toBe(true);
    expect(await readdir(place.gitDirectory)).not.toContain('worktrees');
  });

  test('leaves the entries of others, whether their directories are there or not', async () => {
    await using cell = await cellWith();
    await using other = await temporaryDirectory();
    await cell.repository.git('worktree', 'add', '--quiet', join(other.path, 'theirs'));
    await rm(join(other.path, 'theirs'), { recursive: true });
    await removeWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree });
    await removeWorktree({ gitDirectory: cell.gitDirectory, path: join(cell.directory, 'theirs') });
    expect(await readdir(join(cell.gitDirectory, 'worktrees'))).toEqual(['theirs']);
  });

  test('works when the repository is gone', async () => {
    await using cell = await cellWith();
    await rm(cell.repository.path, { recursive: true });
    expect(await removeWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree })).toBe(true);
    expect(await removeWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree })).toBe(false);
  });

  test('removes what was made unreadable, and follows no link', async () => {
    await using directory = await temporaryDirectory();
    const [kept, tree] = [join(directory.path, 'kept'), join(directory.path, 'tree')];
    const script = `mkdir -p ${kept} ${tree}/a/b && touch ${kept}/file ${tree}/a/b/c && ln -s ${kept} ${tree}/a/link && touch "${tree}/a/$(printf 'x\\377')" && chmod 000 ${tree}/a/b ${tree}/a`;
    // Made and removed by a user without privileges where the tests run with them, since those see no difference.
    const asUser = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    await chmod(directory.path, 0o777);
    await once(spawn('sh', ['-c', script], { ...asUser, stdio: 'ignore' }), 'close');
    expect(await removeTree(tree)).toBe(true);
    expect(await readdir(directory.path)).toEqual(['kept']);
    expect(await readdir(kept)).toEqual(['file']);
  });
});

describe('making sure of a worktree', () => {
  test.each([
    ['does not exist', 'ENOENT', async (worktree: string) => rm(worktree, { recursive: true })],
    ['is empty', 'empty', async (worktree: string) => rm(worktree, { recursive: true }).then(() => mkdir(worktree))],
    [
      'is a file',
      'file',
      async (worktree: string) => rm(worktree, { recursive: true }).then(() => writeFile(worktree, '')),
    ],
    ['has lost its entry', 'entry', async (_worktree: string, admin: string) => rm(admin, { recursive: true })],
    [
      'has an entry that points elsewhere',
      'elsewhere',
      async (_worktree: string, admin: string) => writeFile(join(admin, 'gitdir'), '/elsewhere/.git\n'),
    ],
  ])('fails when it %s', async (_what, _name, damage) => {
    await using cell = await cellWith();
    const place = { gitDirectory: cell.gitDirectory, path: cell.worktree };
    await assertWorktree(place);
    await damage(cell.worktree, join(cell.gitDirectory, 'worktrees/cell1'));
    await expect(assertWorktree(place)).rejects.toThrow(WorktreeGone);
  });
});

test('twenty worktrees are added and removed at once without a failure', async () => {
  await using repository = await temporaryRepository();
  await using directory = await temporaryDirectory();
  const gitDirectory = join(repository.path, '.git');
  const life = async (round: number) => {
    const place = { gitDirectory, path: join(directory.path, `cell${round}`) };
    await addWorktree({ ...place, commit: repository.commit });
    await assertWorktree(place);
    return await removeWorktree(place);
  };
  const removed = await Promise.all(Array.from({ length: 20 }, (_, round) => life(round)));
  expect(removed).toEqual(Array.from({ length: 20 }, () => true));
  expect(await readdir(directory.path)).toEqual([]);
  await expect(access(join(gitDirectory, 'worktrees'))).rejects.toThrow('ENOENT');
});
