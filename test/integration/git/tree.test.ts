import { chmod, mkdir, readFile, readdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileChanges, writeDiff } from '../../../src/git/changes.ts';
import { NestedRepository, UnfitWorktree } from '../../../src/git/errors.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type Cell, cellWith } from './life.ts';

const write = async (cell: Pick<Cell, 'worktree'>, files: Record<string, string>) => {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(cell.worktree, name, '..'), { recursive: true });
    await writeFile(join(cell.worktree, name), content);
  }
};

const changesOf = async (cell: Pick<Cell, 'gitDirectory' | 'baseCommit' | 'snapshot'>, protectedPaths?: string[]) => {
  const { tree } = await cell.snapshot(protectedPaths);
  return (await fileChanges(cell.gitDirectory, cell.baseCommit, tree)).map(({ path, change }) => `${change} ${path}`);
};

describe('the tree of a worktree', () => {
  test('is that of the base when nothing was changed', async () => {
    await using cell = await cellWith();
    const tree = await cell.repository.git('rev-parse', 'HEAD^{tree}');
    expect(await cell.snapshot()).toEqual({ tree, protectedPathsTouched: [] });
  });

  test('holds what was changed, added, deleted and renamed, with counts, and binary files with none', async () => {
    const long = Array.from({ length: 20 }, (_, line) => `line ${line}\n`).join('');
    await using cell = await cellWith({ 'a.txt': 'one\ntwo\n', 'gone.txt': 'x\n', 'old.txt': long });
    await write(cell, { 'a.txt': 'one\n2\n3\n', 'new.txt': 'n\n', 'image.bin': 'a\0b' });
    await unlink(join(cell.worktree, 'gone.txt'));
    await rename(join(cell.worktree, 'old.txt'), join(cell.worktree, 'moved.txt'));
    const { tree } = await cell.snapshot();
    const changes = await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
    expect(changes).toEqual([
      { path: 'a.txt', change: 'modified', additions: 2, deletions: 1 },
      { path: 'gone.txt', change: 'deleted', additions: 0, deletions: 1 },
      { path: 'image.bin', change: 'added', additions: null, deletions: null },
      { path: 'moved.txt', change: 'renamed', additions: 0, deletions: 0 },
      { path: 'new.txt', change: 'added', additions: 1, deletions: 0 },
    ]);
    const patch = join(cell.directory, 'work.patch');
    await writeDiff(cell.gitDirectory, cell.baseCommit, tree, patch);
    await cell.repository.git('apply', '--index', patch);
    expect(await cell.repository.git('write-tree')).toBe(tree);
  });

  test('leaves ignored files out, also those that an earlier snapshot had taken in', async () => {
    await using cell = await cellWith({ '.gitignore': 'ignored\n', 'a.txt': 'a' });
    await write(cell, { ignored: 'x', 'build/out.js': 'x' });
    expect(await changesOf(cell)).toEqual(['added build/out.js']);
    await write(cell, { '.gitignore': 'ignored\nbuild/\n' });
    expect(await changesOf(cell)).toEqual(['modified .gitignore']);
  });

  test('is refused when more was changed than git is given, ignored and unchanged files not counted', async () => {
    await using cell = await cellWith({ '.gitignore': 'ignored\n', 'a.txt': 'a'.repeat(900), 'b.txt': 'b' });
    await write(cell, { ignored: 'x'.repeat(900), 'b.txt': 'b'.repeat(50), 'c.txt': 'c'.repeat(50) });
    await expect(cell.snapshot([], 99)).rejects.toThrow(UnfitWorktree);
    expect(await cell.snapshot([], 100)).toEqual(await cell.snapshot());
  });

  test('sees a file that was put back in its old length and time', async () => {
    await using cell = await cellWith({ 'a.txt': 'aaa' });
    await cell.snapshot();
    const old = new Date(0);
    await write(cell, { 'a.txt': 'bbb' });
    await utimes(join(cell.worktree, 'a.txt'), old, old);
    expect(await changesOf(cell)).toEqual(['modified a.txt']);
    await write(cell, { 'a.txt': 'ccc' });
    await utimes(join(cell.worktree, 'a.txt'), old, old);
    const { tree } = await cell.snapshot();
    expect(await cell.repository.git('cat-file', 'blob', `${tree}:a.txt`)).toBe('ccc');
  });

  test('sees a change in the very second of the checkout that keeps the length', async () => {
    await using cell = await cellWith({ 'a.txt': 'aaa' });
    await write(cell, { 'a.txt': 'bbb' });
    expect(await changesOf(cell)).toEqual(['modified a.txt']);
    await write(cell, { 'a.txt': 'ccc' });
    const { tree } = await cell.snapshot();
    expect(await cell.repository.git('cat-file', 'blob', `${tree}:a.txt`)).toBe('ccc');
  });

  test('takes any name', async () => {
    await using cell = await cellWith();
    const names = ['-rf', '--all', ':(exclude)*', ':!x', '*', 'new\nline', 'tab\there', '"quoted"', ' ', 'ünï', '🙂'];
    await write(cell, Object.fromEntries(names.map((name) => [name, 'x\n'])));
    await writeFile(Buffer.concat([Buffer.from(`${cell.worktree}/latin-`), Buffer.from([0xe9])]), 'x\n');
    const { tree } = await cell.snapshot();
    const changes = await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
    expect(changes.map(({ path }) => path).sort()).toEqual([...names, 'latin-\ufffd'].sort());
    expect(changes.every(({ change, additions }) => change === 'added' && additions === 1)).toBe(true);
  });

  test('stores links as links', async () => {
    await using cell = await cellWith();
    await symlink('/etc/passwd', join(cell.worktree, 'link'));
    const { tree } = await cell.snapshot();
    expect(await cell.repository.git('cat-file', 'blob', `${tree}:link`)).toBe('/etc/passwd');
  });

  test('is had after a worker died in the middle, or broke the index', async () => {
    await using cell = await cellWith();
    await write(cell, { 'new.txt': 'x' });
    const { tree } = await cell.snapshot();
    await writeFile(join(cell.directory, 'cell1.index.lock'), '');
    await writeFile(join(cell.directory, 'cell1.index'), 'garbage');
    expect((await cell.snapshot()).tree).toBe(tree);
  });
});

describe('protected files', () => {
  const files = { 'tests/a.test.ts': 'a\n', 'tests/deep/b.test.ts': 'b\n', 'src/a.ts': 'src\n' };

  test('that were changed, deleted, added or renamed are put back and named', async () => {
    await using cell = await cellWith({ ...files, 'tests/c.test.ts': 'c\n' });
    await write(cell, {
      'tests/a.test.ts': 'cheat\n',
      'tests/new.test.ts': 'x',
      'src/a.ts': 'work\n',
      'tests/evil\nname.ts': 'x',
      'tests/.hidden': 'x',
    });
    await unlink(join(cell.worktree, 'tests/c.test.ts'));
    await rename(join(cell.worktree, 'tests/deep/b.test.ts'), join(cell.worktree, 'src/b.test.ts'));
    const { tree, protectedPathsTouched } = await cell.snapshot(['tests/**']);
    expect(protectedPathsTouched).toEqual([
      'tests/.hidden',
      'tests/a.test.ts',
      'tests/c.test.ts',
      'tests/deep/b.test.ts',
      'tests/evil\nname.ts',
      'tests/new.test.ts',
    ]);
    expect(await readFile(join(cell.worktree, 'tests/a.test.ts'), 'utf8')).toBe('a\n');
    expect((await readdir(join(cell.worktree, 'tests'), { recursive: true })).sort()).toEqual([
      'a.test.ts',
      'c.test.ts',
      'deep',
      'deep/b.test.ts',
    ]);
    const changes = await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
    expect(changes.map(({ path }) => path)).toEqual(['src/a.ts', 'src/b.test.ts']);
  });

  test.each([['tests'], ['tests/'], ['./tests/**'], ['**/*.test.ts'], ['tests/{a,b}.test.ts']])(
    'may be given as %s',
    async (glob) => {
      await using cell = await cellWith(files);
      await write(cell, { 'tests/a.test.ts': 'cheat\n' });
      expect((await cell.snapshot([glob])).protectedPathsTouched).toEqual(['tests/a.test.ts']);
    },
  );

  test('are put back from under a link, a directory or a file that took their place', async () => {
    await using cell = await cellWith({ ...files, 'spec/x.ts': 'x\n' });
    await using outside = await temporaryDirectory();
    await writeFile(join(outside.path, 'a.test.ts'), 'outside\n');
    await rm(join(cell.worktree, 'tests'), { recursive: true });
    await symlink(outside.path, join(cell.worktree, 'tests'));
    await rm(join(cell.worktree, 'spec'), { recursive: true });
    await write(cell, { spec: 'a file' });
    const { tree } = await cell.snapshot(['tests/*.ts', 'tests/deep', 'spec/**']);
    expect(tree).toBe(await cell.repository.git('rev-parse', 'HEAD^{tree}'));
    expect(await readFile(join(outside.path, 'a.test.ts'), 'utf8')).toBe('outside\n');
    expect(await readdir(outside.path)).toEqual(['a.test.ts']);
  });

  test('that are ignored are removed, since tests would see them, and not named', async () => {
    await using cell = await cellWith({ ...files, '.gitignore': '*.pyc\n' });
    await write(cell, { 'tests/conftest.pyc': 'x', 'src/kept.pyc': 'x' });
    expect((await cell.snapshot(['tests/**'])).protectedPathsTouched).toEqual([]);
    expect(await readdir(join(cell.worktree, 'tests'))).not.toContain('conftest.pyc');
    expect(await readdir(join(cell.worktree, 'src'))).toContain('kept.pyc');
  });

  test('that were only read or written with the same bytes are not named', async () => {
    await using cell = await cellWith(files);
    await write(cell, files);
    expect((await cell.snapshot(['**'])).protectedPathsTouched).toEqual([]);
  });
});

describe('repositories inside a worktree', () => {
  test.each([
    ['with commits', 'vendor/lib', true],
    ['without commits', 'vendor/lib', false],
    ['around files of the base', 'src', true],
  ])('are an error that names them: %s', async (_what, name, commits) => {
    await using cell = await cellWith({ 'src/a.ts': 'a' });
    const inside = join(cell.worktree, name);
    await cell.repository.git('init', '--quiet', inside);
    await write(cell, { [`${name}/file`]: 'x' });
    if (commits) {
      await cell.repository.git('-C', inside, 'add', '.');
      await cell.repository.git(
        '-C',
        inside,
        '-c',
        'user.name=a',
        '-c',
        'user.email=a@b.c',
        'commit',
        '--quiet',
        '-m',
        'x',
      );
    }
    const taking = cell.snapshot();
    await expect(taking).rejects.toThrow(NestedRepository);
    await expect(taking).rejects.toThrow(name);
  });

  test('may be ignored ones, as dependencies are', async () => {
    await using cell = await cellWith({ '.gitignore': 'node_modules\n' });
    await cell.repository.git('init', '--quiet', join(cell.worktree, 'node_modules/lib'));
    expect(await changesOf(cell)).toEqual([]);
  });
});

test('nothing that an agent plants runs on the host', async () => {
  await using cell = await cellWith({ 'a.txt': 'a' });
  const [marker, evil] = [join(cell.directory, 'ran'), join(cell.directory, 'evil')];
  await cell.repository.git('init', '--quiet', evil);
  const script = join(evil, 'run.sh');
  await writeFile(script, `#!/bin/sh\necho "$0 $*" >> ${marker}\ncat\n`);
  await chmod(script, 0o755);
  for (const hook of ['post-checkout', 'pre-commit', 'reference-transaction', 'post-index-change']) {
    await writeFile(join(evil, '.git/hooks', hook), await readFile(script));
    await chmod(join(evil, '.git/hooks', hook), 0o755);
  }
  for (const setting of [
    'core.fsmonitor',
    'filter.x.clean',
    'filter.x.smudge',
    'filter.x.process',
    'diff.external',
    'diff.x.textconv',
    'core.pager',
    'gpg.program',
  ]) {
    await cell.repository.git('-C', evil, 'config', setting, script);
  }
  await writeFile(join(cell.worktree, '.git'), `gitdir: ${evil}/.git\n`);
  await write(cell, { '.gitattributes': '* filter=x diff=x\n', 'a.txt': 'changed', 'b.txt': 'b' });
  // Proof that the trap works: git that looks for its directory falls into it.
  await cell.repository.git('-C', cell.worktree, 'status');
  expect(await readFile(marker, 'utf8')).toContain('run.sh');
  await rm(marker);
  const { tree } = await cell.snapshot(['c.txt']);
  await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
  await writeDiff(cell.gitDirectory, cell.baseCommit, tree, join(cell.directory, 'patch'));
  await removeWorktree({ gitDirectory: cell.gitDirectory, path: cell.worktree });
  await expect(readFile(marker, 'utf8')).rejects.toThrow('ENOENT');
});
