import { appendFile, chmod, chown, lstat, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { makePrivateRepository } from '../../../src/git/private-repository.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository, type TemporaryRepository } from '../../support/temporary-repository.ts';
import { cellIn, cellWith, type Cell } from './life.ts';

/** As the worker does it for a cell where it is root. */
const asRoot = process.getuid?.() === 0;
const stranger = asRoot ? { uid: 1_073_741_999, gid: 1_073_741_999 } : null;

type Made = Pick<Cell, 'gitDirectory' | 'baseCommit' | 'worktree' | 'directory'>;

const wantedBy = ({ gitDirectory, baseCommit, worktree, directory }: Made, owner = stranger) => ({
  gitDirectory,
  baseCommit,
  worktree,
  directory: join(directory, 'git'),
  dotGitFile: join(directory, 'dot-git'),
  templates: join(directory, 'templates'),
  owner,
});

/** Makes the repository, and git as the agent has it; in a sandbox the file is bound over the one in the worktree, which here is overwritten. */
async function agentOf(cell: Made, owner = stranger) {
  const wanted = wantedBy(cell, owner);
  await makePrivateRepository(wanted);
  await writeFile(join(cell.worktree, '.git'), await readFile(wanted.dotGitFile));
  if (owner !== null) {
    await execa('chown', ['-R', `${owner.uid}:${owner.gid}`, cell.worktree]);
    // The way to them.
    await chmod(cell.directory, 0o755);
  }
  const as = owner ?? {};
  const env = { HOME: '/nonexistent', PATH: process.env['PATH'] ?? '' };
  const run = async (command: string, ...args: string[]) =>
    (await execa(command, args, { cwd: cell.worktree, env, extendEnv: false, stdin: 'ignore', ...as })).stdout;
  return { ...wanted, run, git: (...args: string[]) => run('git', ...args) };
}

const objectsOf = async (git: TemporaryRepository['git']) =>
  (await git('cat-file', '--batch-all-objects', '--batch-check=%(objectname)')).split('\n').sort();

/** Of a file system that is not the one of temporary directories; null where this machine has none to write to. */
async function otherFileSystem(): Promise<string | null> {
  const [there, here] = await Promise.all([stat('/dev/shm').catch(() => null), stat(tmpdir())]);
  return there === null || there.dev === here.dev ? null : '/dev/shm';
}
const elsewhere = await otherFileSystem();

describe('the private repository of an agent', () => {
  test.skipIf(elsewhere === null)('is made on another file system than the one of its caller', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'a\n' });
    await using directory = await temporaryDirectory(elsewhere ?? '');
    const before = await objectsOf(repository.git);
    const { git } = await agentOf({ ...(await cellIn(repository, directory.path)), directory: directory.path });
    expect(await git('log', '--format=%s')).toBe('First commit');
    expect(await git('status', '--porcelain')).toBe('');
    expect(await objectsOf(repository.git)).toEqual(before);
  });

  test('lets it look, stage, commit, branch, stash and go back, and changes nothing of the caller', async () => {
    await using cell = await cellWith({ 'a.txt': 'a\n', 'dir/b.txt': 'b\n' });
    const before = [await objectsOf(cell.repository.git), await cell.repository.git('for-each-ref')];
    const { git } = await agentOf(cell);
    expect(await git('status', '--porcelain', '--ignored')).toBe('');
    expect(await git('rev-parse', '--show-toplevel', 'HEAD')).toBe(`${cell.worktree}\n${cell.baseCommit}`);
    expect(await git('log', '--format=%s')).toBe('First commit');
    await appendFile(join(cell.worktree, 'a.txt'), 'more\n');
    expect(await git('diff', '--stat')).toContain('1 insertion');
    await git('stash');
    expect(await git('status', '--porcelain')).toBe('');
    await git('stash', 'pop');
    await git('checkout', '-b', 'idea');
    await git('add', '--all');
    await git('commit', '--message', 'By the agent');
    expect(await git('log', '--format=%an %s')).toBe('Agent By the agent\nTest First commit');
    await git('checkout', 'main');
    expect(await readFile(join(cell.worktree, 'a.txt'), 'utf8')).toBe('a\n');
    await git('merge', 'idea');
    await git('gc', '--quiet');
    expect(await git('branch', '--format=%(refname:short)')).toBe('idea\nmain');
    expect([await objectsOf(cell.repository.git), await cell.repository.git('for-each-ref')]).toEqual(before);
  });

  test('holds the base and what is in it, and no other object, branch, remote or setting of the caller', async () => {
    await using repository = await temporaryRepository({ 'secret.txt': 'of yesterday\n' });
    await repository.git('rm', '--quiet', 'secret.txt');
    await repository.write({ 'a.txt': 'a\n', 'dir/b.txt': 'b\n' });
    await repository.git('add', '--all');
    await repository.git('commit', '--quiet', '-m', 'Second commit');
    await repository.git('branch', 'other', 'HEAD~1');
    await repository.git('tag', 'old', 'HEAD~1');
    await repository.git('remote', 'add', 'origin', 'https://user:token@example.invalid/a.git');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    const { git, directory: made } = await agentOf(cell);
    const ofBase = await repository.git('rev-list', '--objects', '--no-object-names', '--max-count=1', 'HEAD');
    expect(await objectsOf(git)).toEqual(ofBase.split('\n').sort());
    expect(await git('for-each-ref', '--format=%(refname)')).toBe('refs/heads/main');
    expect(await git('log', '--format=%s')).toBe('Second commit');
    expect(await git('fsck', '--strict')).toBe('');
    expect(await git('config', '--list')).not.toMatch(/origin|token/);
    await expect(lstat(join(made, 'objects/info/alternates'))).rejects.toThrow('ENOENT');
  });

  test('reads no file to know that nothing changed, though the files changed their owner', async () => {
    await using cell = await cellWith({ 'a.txt': 'aaa\n' });
    const file = join(cell.worktree, 'a.txt');
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(file, longAgo, longAgo);
    await cell.repository.git(`--git-dir=${cell.gitDirectory}/worktrees/cell1`, '-C', cell.worktree, 'status');
    const index = await readFile(join(cell.gitDirectory, 'worktrees/cell1/index'));
    await writeFile(join(cell.gitDirectory, 'worktrees/cell1/agent-cells-index'), index);
    const { git } = await agentOf(cell);
    // Whoever read it would see that it changed.
    await writeFile(file, 'bbb\n');
    await utimes(file, longAgo, longAgo);
    expect(await git('status', '--porcelain')).toBe('');
  });

  test('is kept with what is in it when the step runs again', async () => {
    await using cell = await cellWith();
    const agent = await agentOf(cell);
    await agent.git('commit', '--quiet', '--allow-empty', '--message', 'By the agent');
    await makePrivateRepository(agent);
    expect(await agent.git('log', '--format=%s', '--max-count=1')).toBe('By the agent');
    expect((await readdir(cell.directory)).sort()).toEqual(['dot-git', 'git', 'templates', 'worktrees']);
  });

  test('is made for twenty cells at once, of one template', async () => {
    await using cell = await cellWith();
    const make = async (round: number) => {
      const directory = join(cell.directory, `cell${round}`);
      await mkdir(directory);
      await makePrivateRepository({
        ...wantedBy(cell),
        directory: join(directory, 'git'),
        dotGitFile: join(directory, 'dot-git'),
      });
      return (await readdir(directory)).sort();
    };
    const made = await Promise.all(Array.from({ length: 20 }, (_, round) => make(round)));
    expect(made).toEqual(Array.from({ length: 20 }, () => ['dot-git', 'git']));
    expect(await readdir(join(cell.directory, 'templates'))).toEqual([cell.baseCommit]);
  });

  test('leaves nothing behind when it cannot be made', async () => {
    await using cell = await cellWith();
    await expect(makePrivateRepository({ ...wantedBy(cell), worktree: '/nowhere' })).rejects.toThrow('ENOENT');
    await expect(makePrivateRepository({ ...wantedBy(cell), baseCommit: '1'.repeat(40) })).rejects.toThrow();
    expect((await readdir(cell.directory)).sort()).toEqual(['templates', 'worktrees']);
    expect(await readdir(join(cell.directory, 'templates'))).toEqual([cell.baseCommit]);
  });

  test('is not begun when its spawn was cancelled before, and nothing rejects that nobody waits for', async () => {
    await using cell = await cellWith();
    const signal = AbortSignal.abort(new Error('the cell was cancelled'));
    const unhandled: unknown[] = [];
    const hear = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', hear);
    try {
      await expect(makePrivateRepository({ ...wantedBy(cell), signal })).rejects.toThrow('the cell was cancelled');
    } finally {
      process.off('unhandledRejection', hear);
    }
    expect(unhandled).toEqual([]);
    expect(await readdir(cell.directory)).toEqual(['worktrees']);
  });
});

describe('the objects of a private repository', () => {
  const packIn = async (git: string) => {
    const names = await readdir(join(git, 'objects/pack'));
    return join(git, 'objects/pack', names.find((name) => name.endsWith('.pack')) ?? '');
  };

  test.runIf(asRoot)('are shared where the agent is another user, who cannot change them', async () => {
    await using cell = await cellWith();
    const agent = await agentOf(cell);
    const pack = await packIn(agent.directory);
    const { nlink, uid, mode } = await stat(pack);
    expect([nlink, uid, mode & 0o777]).toEqual([2, 0, 0o444]);
    await expect(agent.run('sh', '-c', `printf x >> ${pack}`)).rejects.toThrow('denied');
    await expect(agent.run('chmod', 'u+w', pack)).rejects.toThrow('not permitted');
    // Its own directory is its own: what it removes stays with the others.
    await agent.run('rm', '-rf', pack);
    expect((await stat(await packIn(join(agent.templates, cell.baseCommit)))).nlink).toBe(1);
  });

  test('are copied where the agent is the same user, who could change them for all', async () => {
    await using cell = await cellWith();
    const agent = await agentOf(cell, null);
    expect((await stat(await packIn(agent.directory))).nlink).toBe(1);
    expect(await agent.git('status', '--porcelain')).toBe('');
  });

  test('are kept for a few base commits', async () => {
    await using cell = await cellWith();
    for (let round = 0; round < 10; round += 1) {
      await cell.repository.git('commit', '--quiet', '--allow-empty', '-m', `Commit ${round}`);
      const directory = join(cell.directory, `cell${round}`);
      await mkdir(directory);
      await makePrivateRepository({
        ...wantedBy({ ...cell, directory }),
        baseCommit: await cell.repository.git('rev-parse', 'HEAD'),
        templates: join(cell.directory, 'templates'),
      });
    }
    const kept = await readdir(join(cell.directory, 'templates'));
    expect(kept).toHaveLength(8);
    expect(kept).toContain(await cell.repository.git('rev-parse', 'HEAD'));
  });
});

describe('a private repository is made of', () => {
  const works = async (repository: TemporaryRepository) => {
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    const { git } = await agentOf(cell);
    expect(await git('status', '--porcelain')).toBe('');
    await writeFile(join(cell.worktree, 'new.txt'), 'new\n');
    if (stranger) await chown(join(cell.worktree, 'new.txt'), stranger.uid, stranger.gid);
    await git('add', '--all');
    await git('commit', '--quiet', '-m', 'By the agent');
    expect(await git('status', '--porcelain')).toBe('');
    return await git('ls-tree', '-r', 'HEAD');
  };

  test('an empty tree', async () => {
    await using repository = await temporaryRepository({});
    expect(await works(repository)).toMatch(/^100644 blob \w+\tnew.txt$/);
  });

  test('a submodule, which stays a name', async () => {
    await using repository = await temporaryRepository();
    await repository.git('update-index', '--add', '--cacheinfo', `160000,${repository.commit},sub`);
    await repository.git('commit', '--quiet', '-m', 'Submodule');
    await mkdir(join(repository.path, 'sub'));
    expect(await works(repository)).toContain(`160000 commit ${repository.commit}\tsub`);
  });

  test('a repository whose files have other line ends on disk', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'one\ntwo\n' });
    await repository.git('config', 'core.autocrlf', 'true');
    expect(await works(repository)).toContain('a.txt');
  });

  test('a bare and shallow clone', async () => {
    await using repository = await temporaryRepository();
    await repository.git('commit', '--quiet', '--allow-empty', '-m', 'Second commit');
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'bare');
    await repository.git('clone', '--quiet', '--bare', '--depth=1', `file://${repository.path}`, path);
    const git = (...args: string[]) => repository.git('-C', path, ...args);
    const cell = await cellIn({ ...repository, git }, directory.path, 'cell1', path);
    const agent = await agentOf(cell);
    expect(await agent.git('log', '--format=%s')).toBe('Second commit');
  });

  test('a repository with the longer ids', async () => {
    await using directory = await temporaryDirectory();
    await using any = await temporaryRepository();
    const path = join(directory.path, 'repository');
    const git = (...args: string[]) => any.git('-C', path, ...args);
    await any.git('init', '--quiet', '--object-format=sha256', path);
    await writeFile(join(path, 'a.txt'), 'a\n');
    await git('add', 'a.txt');
    await git('-c', 'user.name=a', '-c', 'user.email=a@example.invalid', 'commit', '--quiet', '-m', 'Longer');
    const cell = await cellIn({ ...any, path, git }, directory.path);
    const agent = await agentOf(cell);
    expect(await agent.git('rev-parse', 'HEAD')).toHaveLength(64);
    expect(await agent.git('status', '--porcelain')).toBe('');
  });
});
