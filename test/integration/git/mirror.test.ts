import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commitTree } from '../../../src/git/commit.ts';
import { RepositoryError } from '../../../src/git/errors.ts';
import { git } from '../../../src/git/git.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { restoreWorktree } from '../../../src/git/revert.ts';
import { snapshotTree } from '../../../src/git/tree.ts';
import { findTipOf, openRepository, resolveBase } from '../../../src/git/repository.ts';
import { addWorktree } from '../../../src/git/worktree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { repositoryAt, temporaryRepository } from '../../support/temporary-repository.ts';
import { date } from './life.ts';

async function remote() {
  const repository = await temporaryRepository();
  const directory = await temporaryDirectory();
  const url = `file://${repository.path}`;
  const mirrorsDirectory = join(directory.path, 'repositories');
  const open = () => openRepository({ repository: url, allowed: [url], mirrorsDirectory });
  return {
    repository,
    directory: directory.path,
    url,
    mirrorsDirectory,
    open,
    async [Symbol.asyncDispose]() {
      await directory[Symbol.asyncDispose]();
      await repository[Symbol.asyncDispose]();
    },
  };
}

describe('the mirror of a URL', () => {
  test('is one for each URL, and has new commits each time it is opened', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    expect(await resolveBase(gitDirectory, 'main')).toBe(origin.repository.commit);
    await origin.repository.git('commit', '--allow-empty', '--quiet', '-m', 'two');
    await origin.repository.git('tag', 'v2');
    const second = await origin.repository.git('rev-parse', 'HEAD');
    expect(await origin.open()).toEqual({ gitDirectory });
    expect(await resolveBase(gitDirectory, 'main')).toBe(second);
    expect(await resolveBase(gitDirectory, 'v2')).toBe(second);
    expect(await readdir(origin.mirrorsDirectory)).toHaveLength(1);
  });

  test('is fetched once for many who ask at once, and serves them all', async () => {
    await using origin = await remote();
    const opened = await Promise.all(Array.from({ length: 8 }, () => origin.open()));
    expect(new Set(opened.map(({ gitDirectory }) => gitDirectory)).size).toBe(1);
    expect(await resolveBase(opened[0]?.gitDirectory ?? '', 'main')).toBe(origin.repository.commit);
  });

  test('is fetched though its last fetch was in the future, as when the clock is set back', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    await writeFile(join(gitDirectory, 'agent-cells-fetched'), String(Date.now() + 3_600_000));
    await origin.repository.git('commit', '--allow-empty', '--quiet', '-m', 'two');
    await origin.open();
    expect(await resolveBase(gitDirectory, 'main')).toBe(await origin.repository.git('rev-parse', 'HEAD'));
  });

  test('forgets branches that the remote deleted, and never those of cells', async () => {
    await using origin = await remote();
    await origin.repository.git('branch', 'old');
    const { gitDirectory } = await origin.open();
    await addWorktree({ gitDirectory, path: join(origin.directory, 'cell1'), commit: origin.repository.commit });
    const tree = (await git(['rev-parse', `${origin.repository.commit}^{tree}`], { gitDirectory })).trim();
    const work = {
      gitDirectory,
      tree,
      baseCommit: origin.repository.commit,
      message: 'Work',
      date,
      branch: 'cells/t/a',
      cellId: 'cell1',
    };
    const { commit } = await commitTree(work);
    await git(['update-ref', 'refs/cells/reverted/cell0', commit], { gitDirectory });
    await origin.repository.git('branch', '-D', 'old');
    await origin.repository.git('branch', 'old/nested');
    await origin.repository.git('branch', 'cells/t/a');
    await origin.open();
    expect(await findTipOf(gitDirectory, 'cells/t/a')).toBe(commit);
    expect(await git(['rev-parse', 'refs/cells/reverted/cell0'], { gitDirectory })).toBe(`${commit}\n`);
    await expect(resolveBase(gitDirectory, 'old')).rejects.toThrow(RepositoryError);
    expect(await resolveBase(gitDirectory, 'old/nested')).toBe(origin.repository.commit);
  });

  test('serves the whole life of a cell', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    const worktree = join(origin.directory, 'cell1');
    const baseCommit = await resolveBase(gitDirectory, 'main');
    await addWorktree({ gitDirectory, path: worktree, commit: baseCommit });
    await writeFile(join(worktree, 'work.txt'), 'work\n');
    const indexFile = join(origin.directory, 'index');
    const { tree } = await snapshotTree({ gitDirectory, worktree, baseCommit, indexFile, protectedPaths: [] });
    const work = { gitDirectory, tree, baseCommit, message: 'Work', date, branch: 'cells/t/a', cellId: 'cell1' };
    const { commit } = await commitTree(work);
    await restoreWorktree({ gitDirectory, worktree, baseCommit });
    expect(await removeWorktree({ gitDirectory, path: worktree })).toBe(true);
    expect(await git(['show', '--name-only', '--format=%s', commit], { gitDirectory })).toBe('Work\n\nwork.txt\n');
  });

  test.each(['config.lock', 'packed-refs.lock', 'refs/remotes/origin/main.lock', 'refs/tags/v2.lock'])(
    'is fetched where a fetch that was killed left %s',
    async (lock) => {
      await using origin = await remote();
      await origin.repository.git('branch', 'old');
      const { gitDirectory } = await origin.open();
      await origin.repository.git('branch', '-D', 'old');
      await origin.repository.git('commit', '--allow-empty', '--quiet', '-m', 'two');
      await origin.repository.git('tag', 'v2');
      await writeFile(join(gitDirectory, lock), '');
      await origin.open();
      expect(await resolveBase(gitDirectory, 'v2')).toBe(await origin.repository.git('rev-parse', 'HEAD'));
      await expect(resolveBase(gitDirectory, 'old')).rejects.toThrow(RepositoryError);
    },
  );

  test('keeps nothing that fetches which were cut off left half written, and all that may still be written', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    const packs = join(gitDirectory, 'objects/pack');
    const write = async (name: string, minutesAgo: number) => {
      const then = new Date(Date.now() - minutesAgo * 60_000);
      await writeFile(join(packs, name), 'half');
      await utimes(join(packs, name), then, then);
    };
    await write('tmp_pack_abc123', 61);
    await write('tmp_idx_abc123', 61);
    await write('tmp_pack_def456', 59);
    await write('pack-0123.keep', 61);
    await origin.open();
    expect((await readdir(packs)).sort()).toEqual(['pack-0123.keep', 'tmp_pack_def456']);
  });

  test('is made again where making it was cut short', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    await rm(join(gitDirectory, 'HEAD'));
    await rm(join(gitDirectory, 'objects'), { recursive: true });
    await rm(join(gitDirectory, 'refs'), { recursive: true });
    await origin.open();
    expect(await resolveBase(gitDirectory, 'main')).toBe(origin.repository.commit);
  });

  test('has ids as its remote makes them', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'origin');
    const origin = repositoryAt(path);
    await mkdir(path);
    await origin.git('init', '--quiet', '--initial-branch=main', '--object-format=sha256');
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid'];
    await origin.git(...identity, 'commit', '--allow-empty', '--quiet', '--message', 'First commit');
    const url = `file://${path}`;
    for (const _attempt of ['made', 'found']) {
      const { gitDirectory } = await openRepository({
        repository: url,
        allowed: [url],
        mirrorsDirectory: directory.path,
      });
      expect(await resolveBase(gitDirectory, 'main')).toBe(await origin.git('rev-parse', 'HEAD'));
    }
  });

  test('that has something is kept where another repository took the place of its remote', async () => {
    await using origin = await remote();
    const { gitDirectory } = await origin.open();
    await rm(join(origin.repository.path, '.git'), { recursive: true });
    await origin.repository.git('init', '--quiet', '--initial-branch=main', '--object-format=sha256');
    await origin.repository.git(
      '-c',
      'user.name=Test',
      '-c',
      'user.email=t@example.invalid',
      'commit',
      '--allow-empty',
      '--quiet',
      '-m',
      'x',
    );
    await expect(origin.open()).rejects.toThrow('mismatched algorithms');
    expect(await resolveBase(gitDirectory, 'main')).toBe(origin.repository.commit);
  });

  test('of what is not a repository is an error that names the URL', async () => {
    await using directory = await temporaryDirectory();
    const url = `file://${directory.path}/nothing`;
    const opening = openRepository({
      repository: url,
      allowed: [`file://${directory.path}`],
      mirrorsDirectory: join(directory.path, 'mirrors'),
    });
    await expect(opening).rejects.toThrow(RepositoryError);
    await expect(opening).rejects.toThrow(url);
  });
});
