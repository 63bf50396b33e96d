import { mkdir, readdir, rmdir, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { fileChanges } from '../../../src/git/changes.ts';
import { NestedRepository } from '../../../src/git/errors.ts';
import { restoreTree } from '../../../src/git/restore-tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { cellIn } from './life.ts';

/** A cell whose base has the submodule `lib/sub`. */
async function cellWithSubmodule() {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(await temporaryRepository());
  const directory = stack.use(await temporaryDirectory());
  await repository.git('update-index', '--add', '--cacheinfo', `160000,${repository.commit},lib/sub`);
  await repository.git('commit', '--quiet', '-m', 'Submodule');
  const cell = await cellIn(repository, directory.path);
  const changes = async (protectedPaths?: string[]) => {
    const { tree } = await cell.snapshot(protectedPaths);
    const found = await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
    return found.map(({ path, change }) => `${change} ${path}`);
  };
  const { gitDirectory, worktree, cellId } = cell;
  const indexFile = join(directory.path, `${cellId}.index`);
  const restore = (tree: string) => restoreTree({ gitDirectory, worktree, indexFile, tree });
  const at = (name: string) => join(cell.worktree, name);
  const owned = stack.move();
  return { ...cell, at, changes, restore, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe('a submodule of the base', () => {
  test('is part of every tree while it is left empty', async () => {
    await using cell = await cellWithSubmodule();
    await writeFile(cell.at('new.txt'), 'x');
    expect(await cell.changes()).toEqual(['added new.txt']);
  });

  test('with anything in it is an error that names it', async () => {
    await using cell = await cellWithSubmodule();
    await writeFile(cell.at('lib/sub/work.txt'), 'would be lost');
    const taking = cell.snapshot();
    await expect(taking).rejects.toThrow(NestedRepository);
    await expect(taking).rejects.toThrow('lib/sub');
  });

  test('is put back, and named, where its directory was removed and is protected', async () => {
    await using cell = await cellWithSubmodule();
    await rmdir(cell.at('lib/sub'));
    const base = await cell.repository.git('rev-parse', 'HEAD^{tree}');
    expect(await cell.snapshot(['lib/**'])).toEqual({ tree: base, protectedPathsTouched: ['lib/sub'] });
    expect(await readdir(cell.at('lib/sub'))).toEqual([]);
  });

  test('is put back after tests that removed its directory', async () => {
    await using cell = await cellWithSubmodule();
    const { tree } = await cell.snapshot();
    await rmdir(cell.at('lib/sub'));
    await cell.restore(tree);
    expect(await readdir(cell.at('lib/sub'))).toEqual([]);
    expect((await cell.snapshot()).tree).toBe(tree);
  });

  test('is put back after tests that filled its directory', async () => {
    await using cell = await cellWithSubmodule();
    const { tree } = await cell.snapshot();
    await cell.repository.git('init', '--quiet', cell.at('lib/sub'));
    // At which git would wait, were it to look.
    await unlink(cell.at('lib/sub/.git/HEAD'));
    await execa('mkfifo', [cell.at('lib/sub/.git/HEAD')]);
    await cell.restore(tree);
    expect(await readdir(cell.at('lib/sub'))).toEqual([]);
    expect((await cell.snapshot()).tree).toBe(tree);
  });

  test.each(['lib/sub', 'lib'])('is no error where a link has taken the place of %s', async (name) => {
    await using cell = await cellWithSubmodule();
    await mkdir(cell.at('elsewhere/sub'), { recursive: true });
    await writeFile(cell.at('elsewhere/sub/file'), 'x');
    await rmdir(cell.at('lib/sub'));
    if (name === 'lib') await rmdir(cell.at('lib'));
    await symlink(cell.at('elsewhere'), cell.at(name));
    expect(await cell.changes()).toContain('added elsewhere/sub/file');
  });
});
