import { chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isAllowed } from '../../../src/git/allow-list.ts';
import { RepositoryError, RepositoryNotAllowed } from '../../../src/git/errors.ts';
import { findTipOf, openRepository, resolveBase } from '../../../src/git/repository.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';

const open = (repository: string, allowed = [repository]) =>
  openRepository({ repository, allowed, mirrorsDirectory: '/nonexistent' });

describe('opening a repository by its path', () => {
  test('answers the real path of its git directory', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    await symlink(repository.path, join(directory.path, 'link'));
    expect(await open(join(directory.path, 'link'), [repository.path])).toEqual({
      gitDirectory: join(repository.path, '.git'),
    });
  });

  test('of a linked worktree answers the repository that it belongs to', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    await repository.git('worktree', 'add', '--quiet', join(directory.path, 'mine'));
    expect(await open(join(directory.path, 'mine'))).toEqual({ gitDirectory: join(repository.path, '.git') });
  });

  test('refuses one below an allowed directory whose objects lie outside of it', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const [linked, pointed] = [join(directory.path, 'linked'), join(directory.path, 'pointed')];
    await repository.git('worktree', 'add', '--quiet', linked);
    await mkdir(pointed);
    await symlink(join(repository.path, '.git'), join(pointed, '.git'));
    for (const path of [linked, pointed]) {
      await expect(open(path, [directory.path])).rejects.toThrow(RepositoryNotAllowed);
      await expect(open(path, [directory.path])).rejects.toThrow(/keeps its objects in .*CELLS_REPOSITORIES/);
      const gitDirectory = join(repository.path, '.git');
      expect(await open(path, [directory.path, repository.path])).toEqual({ gitDirectory });
    }
  });

  test('takes bare, shallow, detached and dirty ones', async () => {
    await using repository = await temporaryRepository();
    await using directory = await temporaryDirectory();
    const [bare, shallow] = [join(directory.path, 'bare.git'), join(directory.path, 'shallow')];
    await repository.git('clone', '--quiet', '--bare', '.', bare);
    await repository.git('clone', '--quiet', '--depth=1', `file://${repository.path}`, shallow);
    await repository.git('checkout', '--quiet', '--detach');
    await repository.write({ 'README.md': 'changed' });
    expect(await open(bare)).toEqual({ gitDirectory: bare });
    expect(await open(shallow)).toEqual({ gitDirectory: join(shallow, '.git') });
    expect(await open(repository.path)).toEqual({ gitDirectory: join(repository.path, '.git') });
    expect(await resolveBase(bare, 'main')).toBe(repository.commit);
    expect(await resolveBase(join(shallow, '.git'), 'main')).toBe(repository.commit);
  });

  test.each([
    ['is missing', 'missing', /does not exist/],
    ['is a file', 'README.md', /is a file/],
    ['is a directory inside a repository', 'inside', /top directory/],
    ['is inside the git directory', '.git/hooks', /top directory/],
  ])('refuses what %s', async (_what, name, message) => {
    await using repository = await temporaryRepository();
    await mkdir(join(repository.path, 'inside'));
    const opening = open(join(repository.path, name), [repository.path]);
    await expect(opening).rejects.toThrow(RepositoryError);
    await expect(opening).rejects.toThrow(message);
  });

  test('refuses a directory that is no repository', async () => {
    await using directory = await temporaryDirectory();
    await expect(open(directory.path)).rejects.toThrow(/not a git repository/);
  });

  test.runIf(process.getuid?.() === 0)(
    'refuses one that belongs to another user, unless the settings name that very directory',
    async () => {
      await using repository = await temporaryRepository();
      for (const name of ['.', '.git']) await chown(join(repository.path, name), 12345, 12345);
      await expect(open(repository.path, ['/tmp'])).rejects.toThrow(/dubious ownership/);
      expect(await open(repository.path)).toEqual({ gitDirectory: join(repository.path, '.git') });
    },
  );
});

describe('the list of what may be worked on', () => {
  test('allows a path, and what lies below it, by whole components and real paths', async () => {
    await using directory = await temporaryDirectory();
    for (const name of ['git', 'git/one', 'git-evil']) await mkdir(join(directory.path, name));
    await symlink(join(directory.path, 'git-evil'), join(directory.path, 'git', 'link'));
    const allowed = [join(directory.path, 'git')];
    const ask = (name: string) => isAllowed(join(directory.path, name), allowed);
    expect(await ask('git')).toBe(true);
    expect(await ask('git/one')).toBe(true);
    expect(await ask('git/one/../../git-evil')).toBe(false);
    expect(await ask('git-evil')).toBe(false);
    expect(await ask('git/link')).toBe(false);
    expect(await isAllowed(directory.path, [])).toBe(false);
    await expect(open(join(directory.path, 'git-evil'), allowed)).rejects.toThrow(/CELLS_REPOSITORIES/);
  });

  test.each([
    ['https://host/org', 'https://host/org', true],
    ['https://host/org/repo.git', 'https://host/org', true],
    ['https://HOST:443/org/repo', 'https://host/org/', true],
    ['https://host/org/repo', 'https://host/', true],
    ['https://host/org/repo', 'https://host', true],
    ['git@host:org/repo.git', 'git@host:org', true],
    ['ssh://git@host/org/repo', 'ssh://git@host/org', true],
    ['https://host/org-evil/repo', 'https://host/org', false],
    ['https://host@evil/org', 'https://host', false],
    ['https://host.evil/org', 'https://host', false],
    ['https://user:secret@host/org', 'https://host/org', false],
    ['https://host:8443/org', 'https://host/org', false],
    ['http://host/org', 'https://host/org', false],
    ['https://host/org/../other/repo', 'https://host/org', false],
    ['https://host/org/%2e%2e/other', 'https://host/org', false],
    ['https://host/org\\..\\other', 'https://host/org', false],
    ['https://host/org?x=/repo', 'https://host/org', false],
    ['https://host/org#/repo', 'https://host/org', false],
    ['git@host:org-evil/repo', 'git@host:org', false],
    ['git@host:org/../other', 'git@host:org', false],
    ['evil@host:org/repo', 'git@host:org', false],
    ['ext::sh -c id', 'ext::sh', false],
    ['/org/repo', 'https://host/org', false],
    ['https://host/team/sub/../../other', 'https://host/team', false],
    ['https://ho\tst/org/repo', 'https://host/org', false],
    ['https://host/org/.\n./other', 'https://host/', false],
    [' https://host/org/repo', 'https://host/org', false],
    ['https://host/org/repo\n', 'https://host/org', false],
    ['https://ｈｏｓｔ/org/repo', 'https://host/org', false],
    ['https://ho\u00ADst/org/repo', 'https://host/org', false],
    ['https://host/ORG/repo', 'https://host/org', false],
    ['https://host.:443/org', 'https://host/org', false],
    ['https://host/org\u2215repo', 'https://host/org', false],
    ['git@host:../other', 'git@host:', false],
    ['git@host:./org', 'git@host:org', false],
    ['git@host:/org/repo', 'git@host:org', false],
    ['ssh://git@host:22022/org/repo', 'ssh://git@host/org', false],
    ['ssh://-oProxyCommand=id/org', 'ssh://git@host/org', false],
    ['git@-oProxyCommand=id:org', 'git@host:org', false],
    ['-oProxyCommand@host:org', 'git@host:org', false],
    ['file://elsewhere/org', 'file:///org', false],
    ['file:///org/../etc', 'file:///org', false],
    ['FILE:///org/repo', 'file:///org', true],
    ['file:///org/repo', '/org', false],
    ['git://host/org', 'https://host/org', false],
    ['fd::3', 'https://host/org', false],
    ['relative/org', '/org', false],
  ])('of %s, with %s allowed, says %s', async (repository, entry, answer) => {
    expect(await isAllowed(repository, [entry])).toBe(answer);
  });

  test('follows links in file URLs as in paths', async () => {
    await using directory = await temporaryDirectory();
    for (const name of ['git', 'other']) await mkdir(join(directory.path, name));
    await symlink(join(directory.path, 'other'), join(directory.path, 'git', 'link'));
    const allowed = [`file://${directory.path}/git`];
    expect(await isAllowed(`file://${directory.path}/git/one`, allowed)).toBe(true);
    expect(await isAllowed(`file://${directory.path}/git/link`, allowed)).toBe(false);
  });

  test('does not show credentials in its refusal', async () => {
    await expect(open('https://user:secret@host/org', [])).rejects.toThrow(/^https:\/\/host\/org is not/);
  });
});

describe('finding the base', () => {
  test('takes branches, tags and commits, and prefers the branch', async () => {
    await using repository = await temporaryRepository();
    await repository.git('tag', '-a', 'v1', '-m', 'one');
    await repository.git('tag', 'main');
    await repository.git('commit', '--allow-empty', '--quiet', '-m', 'two');
    const second = await repository.git('rev-parse', 'HEAD');
    const gitDirectory = join(repository.path, '.git');
    expect(await resolveBase(gitDirectory, 'v1')).toBe(repository.commit);
    expect(await resolveBase(gitDirectory, 'main')).toBe(second);
    expect(await resolveBase(gitDirectory, second.slice(0, 10))).toBe(second);
    expect(await findTipOf(gitDirectory, 'main')).toBe(second);
    expect(await findTipOf(gitDirectory, 'v1')).toBeNull();
  });

  test('takes a branch that only the remote has', async () => {
    await using repository = await temporaryRepository();
    await repository.git('update-ref', 'refs/remotes/origin/theirs', repository.commit);
    expect(await resolveBase(join(repository.path, '.git'), 'theirs')).toBe(repository.commit);
  });

  test.each(['nothing', '--upload-pack=x', '-evil', 'HEAD:README.md', '@{-1}'])(
    'refuses %s and names what there is',
    async (name) => {
      await using repository = await temporaryRepository();
      const finding = resolveBase(join(repository.path, '.git'), name);
      await expect(finding).rejects.toThrow(RepositoryError);
      await expect(finding).rejects.toThrow(/it has main$/);
    },
  );

  test('says that a repository has no commits', async () => {
    await using directory = await temporaryDirectory();
    await using repository = await temporaryRepository();
    await repository.git('init', '--quiet', join(directory.path, 'empty'));
    await writeFile(join(directory.path, 'empty', 'file'), '');
    const { gitDirectory } = await open(join(directory.path, 'empty'));
    await expect(resolveBase(gitDirectory, 'main')).rejects.toThrow(/has no commits/);
  });
});
