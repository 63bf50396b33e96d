import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { NestedRepository, UnfitWorktree } from '../../../src/git/errors.ts';
import { onFitWorktree } from '../../../src/git/fit-worktree.ts';
import { gitBytes } from '../../../src/git/git.ts';
import { restoreTree } from '../../../src/git/restore-tree.ts';
import { snapshotTree } from '../../../src/git/tree.ts';
import { type HostileCell, hostileCell, runHostSteps, undoAll } from './hostile-host.ts';

const makePipe = (path: string) => execa('mkfifo', [path]);

/** The host says what it cannot take, and then still puts everything back. */
async function expectUnfit(cell: HostileCell, message: RegExp): Promise<void> {
  const refusal = await runHostSteps(cell).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(UnfitWorktree);
  expect(String(refusal)).toMatch(message);
  await undoAll(cell);
  await expect(stat(cell.worktree)).rejects.toThrow('ENOENT');
}

describe('links', () => {
  test('are stored as links, wherever they lead, and never followed', async () => {
    await using cell = await hostileCell();
    await symlink(cell.secret.file, cell.at('link'));
    await symlink(cell.secret.directory, cell.at('way-out'));
    await symlink('../../..', cell.at('up'));
    await symlink('round', cell.at('round'));
    await rm(cell.at('dir'), { recursive: true });
    await symlink(cell.secret.directory, cell.at('dir'));
    const { tree, changes } = await runHostSteps(cell);
    expect(changes).toEqual([
      'added dir',
      'added link',
      'added round',
      'added up',
      'added way-out',
      'deleted dir/b.txt',
    ]);
    expect(await cell.repository.git('cat-file', 'blob', `${tree}:dir`)).toBe(cell.secret.directory);
  });

  test('in the place of a directory are not written through when the tree is put back', async () => {
    await using cell = await hostileCell();
    await cell.plant({ 'dir/b.txt': 'changed\n', 'dir/new.txt': 'new\n' });
    const { tree } = await cell.snapshot();
    await rm(cell.at('dir'), { recursive: true });
    await symlink(cell.secret.directory, cell.at('dir'));
    await writeFile(join(cell.secret.directory, 'other.txt'), 'not of the cell\n');
    const { gitDirectory, worktree } = cell;
    await restoreTree({ gitDirectory, worktree, indexFile: join(cell.directory, 'cell1.index'), tree });
    expect(await readFile(cell.at('dir/b.txt'), 'utf8')).toBe('changed\n');
    expect(await readFile(join(cell.secret.directory, 'other.txt'), 'utf8')).toBe('not of the cell\n');
    expect((await runHostSteps(cell)).changes).toEqual(['added dir/new.txt', 'modified dir/b.txt']);
  });

  test('in the place of a directory are no repository, though they lead to one', async () => {
    await using cell = await hostileCell({ 'a.txt': 'a\n', 'dir/b.txt': 'b\n', 'deep/er/c.txt': 'c\n' });
    await mkdir(join(cell.secret.directory, 'er/.git'), { recursive: true });
    await Promise.all(['dir', 'deep'].map((name) => rm(cell.at(name), { recursive: true })));
    await symlink('.', cell.at('dir'));
    await symlink(cell.secret.directory, cell.at('deep'));
    const { changes } = await runHostSteps(cell);
    expect(changes).toEqual(['added deep', 'added dir', 'deleted deep/er/c.txt', 'deleted dir/b.txt']);
  });

  test('in the place of files that git reads are not read', async () => {
    await using cell = await hostileCell();
    await writeFile(cell.secret.file, '*\n');
    await symlink(cell.secret.file, cell.at('.gitignore'));
    await symlink(cell.secret.file, cell.at('.gitattributes'));
    await cell.plant({ 'new.txt': 'new\n' });
    cell.secret.text = '*\n';
    const { gitDirectory, baseCommit } = cell;
    const { tree } = await cell.snapshot();
    const names = await cell.repository.git(`--git-dir=${gitDirectory}`, 'diff-tree', '--name-only', baseCommit, tree);
    expect(names).toBe('.gitattributes\n.gitignore\nnew.txt');
  });
});

describe('what is no file', () => {
  test.each(['.gitignore', '.gitattributes', 'dir/.gitignore', 'new/.git/HEAD'])(
    'does not make the host wait, as %s',
    async (name) => {
      await using cell = await hostileCell();
      await mkdir(dirname(cell.at(name)), { recursive: true });
      await makePipe(cell.at(name));
      await cell.plant({ 'new.txt': 'new\n', 'dir/b.txt': 'changed\n' });
      await expectUnfit(cell, /\.git(ignore|attributes|\/HEAD) as a pipe/);
    },
  );

  test('is left out, and a file in whose place it stands counts as deleted', async () => {
    await using cell = await hostileCell({ 'a.txt': 'a\n', 'dir/b.txt': 'b\n', 'protected/c.txt': 'c\n' });
    await Promise.all(['a.txt', 'protected/c.txt'].map((name) => rm(cell.at(name))));
    await Promise.all(['a.txt', 'protected/c.txt', 'pipe'].map((name) => makePipe(cell.at(name))));
    const socket = createServer().listen(cell.at('socket'));
    if (process.getuid?.() === 0) await execa('mknod', [cell.at('device'), 'c', '1', '5']);
    await cell.plant({ 'new.txt': 'new\n' });
    const { changes } = await runHostSteps(cell);
    socket.close();
    expect(changes).toEqual(['added new.txt', 'deleted a.txt']);
  });
});

describe('names', () => {
  test.each([
    ['.GIT/config', /\.GIT\/config/],
    ['dir/.Git', /dir\/\.Git/],
    ['git~1/config', /git~1/],
    ['.git./config', /\.git\./],
    ['.g\u200cit/config', /\.g\u200cit/],
    ['dir/.git::$INDEX_ALLOCATION/config', /INDEX_ALLOCATION/],
  ])('that some system takes for .git are refused: %s', async (name, message) => {
    await using cell = await hostileCell();
    await cell.plant({ [name]: '[core]\n' });
    await expectUnfit(cell, message);
  });

  test('of a link .gitmodules are refused, since git would follow it', async () => {
    await using cell = await hostileCell();
    await symlink(cell.secret.file, cell.at('.gitmodules'));
    await expectUnfit(cell, /\.gitmodules/);
  });

  test('are taken as they are: options, line breaks, quotes, bytes, and twins', async () => {
    const odd = [
      '--all',
      '-rf',
      ':(top)x',
      'line\nbreak',
      '"quoted"',
      '"',
      'Icon\r',
      'README',
      'readme',
      'ReadMe',
      ' ',
    ];
    await using cell = await hostileCell({ ...Object.fromEntries(odd.map((name) => [name, 'old\n'])), quoted: 'x\n' });
    await cell.plant(Object.fromEntries(odd.map((name) => [name, 'new\n'])));
    await writeFile(Buffer.concat([Buffer.from(cell.at('latin-')), Buffer.from([0xe9])]), 'x\n');
    await writeFile(Buffer.concat([Buffer.from(cell.at('latin-')), Buffer.from([0xe8])]), 'x\n');
    const { changes } = await runHostSteps(cell, ['"quoted"']);
    const taken = odd.filter((name) => name !== '"quoted"').map((name) => `modified ${name}`);
    expect(changes).toEqual([...taken, 'added latin-\ufffd', 'added latin-\ufffd'].sort());
  });
});

describe('repositories', () => {
  test.each([
    ['a file', (path: string) => writeFile(path, 'gitdir: /nowhere\n')],
    ['a link', (path: string) => symlink('/nowhere', path)],
    ['a pipe', makePipe],
  ])('deeper down are refused by name, be their .git %s', async (_what, make) => {
    await using cell = await hostileCell();
    await make(cell.at('dir/.git'));
    await cell.plant({ 'dir/new.txt': 'new\n' });
    await expect(runHostSteps(cell)).rejects.toThrow(NestedRepository);
    await undoAll(cell);
  });
});

test.each([
  ['that a file does not have', 'working-tree-encoding=UTF-16'],
  ['without a name', 'working-tree-encoding'],
])('an encoding %s is refused by name', async (_what, attribute) => {
  await using cell = await hostileCell();
  await cell.plant({ '.gitattributes': `*.txt ${attribute}\n`, 'a.txt': 'changed\n' });
  await expectUnfit(cell, /encoding/);
});

test('a path of 3,000 directories is refused by name, and removed', async () => {
  await using cell = await hostileCell();
  await mkdir(cell.at('d'));
  await writeFile(cell.at('d/deep.txt'), 'x');
  // From the bottom up, since no path leads there.
  for (let level = 1; level < 3000; level += 1) {
    await mkdir(cell.at('above'));
    await rename(cell.at('d'), cell.at('above/d'));
    await rename(cell.at('above'), cell.at('d'));
  }
  await expectUnfit(cell, /too deep/);
});

test('more names than git may list are refused', async () => {
  await using cell = await hostileCell();
  await cell.plant({ ['d'.repeat(200)]: '', ['e'.repeat(200)]: '' });
  const { gitDirectory, worktree, directory } = cell;
  const list = (signal: AbortSignal) =>
    gitBytes(['ls-files', '--others', '-z'], { gitDirectory, workTree: worktree }, { mostBytes: 300, signal });
  const refusal = await onFitWorktree({ worktree, indexFile: join(directory, 'cell1.index') }, list).catch(
    (error: unknown) => error,
  );
  expect(refusal).toBeInstanceOf(UnfitWorktree);
  expect(String(refusal)).toContain('the agent left too many names of files in its worktree');
});

test('five thousand files are taken, and removed', { timeout: 300_000 }, async () => {
  await using cell = await hostileCell();
  const script = 'for i in $(seq 5); do mkdir -p many/$i; (cd many/$i; seq 1000 | xargs touch); done';
  await execa('bash', ['-c', script], { cwd: cell.worktree });
  expect((await runHostSteps(cell)).changes).toHaveLength(5_000);
  await expect(stat(cell.worktree)).rejects.toThrow('ENOENT');
});

test('a name that takes a glob of protected files half a minute does not keep the host from all else', async () => {
  await using cell = await hostileCell();
  await cell.plant({ ['a'.repeat(28)]: 'x' });
  const { gitDirectory, worktree, baseCommit, directory } = cell;
  const place = { gitDirectory, worktree, baseCommit, indexFile: join(directory, 'cell1.index') };
  const signal = AbortSignal.timeout(3000);
  const started = performance.now();
  await expect(snapshotTree({ ...place, protectedPaths: ['(a+)+b'], signal })).rejects.toThrow('timeout');
  expect(performance.now() - started).toBeLessThan(12_000);
});
