import { chmod, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileChanges } from '../../../src/git/changes.ts';
import { restoreTree } from '../../../src/git/restore-tree.ts';
import { restoreWorktree } from '../../../src/git/revert.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { type Cell, cellIn, cellWith } from './life.ts';

type Files = Pick<Cell, 'gitDirectory' | 'worktree' | 'baseCommit' | 'snapshot'>;

const isExecutable = async (cell: Files, name: string) => ((await stat(join(cell.worktree, name))).mode & 0o100) !== 0;

async function changesOf(cell: Files): Promise<string[]> {
  const { tree } = await cell.snapshot();
  const changes = await fileChanges(cell.gitDirectory, cell.baseCommit, tree);
  return changes.map(({ path, change, additions, deletions }) => `${change} ${path} +${additions} -${deletions}`);
}

describe('a file that was made executable, or is so no more', () => {
  test('is a change of the worktree, though its bytes are the same', async () => {
    await using cell = await cellWith({ 'run.sh': '#!/bin/sh\n', 'b.sh': '#!/bin/sh\n' });
    await chmod(join(cell.worktree, 'run.sh'), 0o755);
    expect(await changesOf(cell)).toEqual(['modified run.sh +0 -0']);
    const { tree } = await cell.snapshot();
    expect(await cell.repository.git('ls-tree', tree)).toMatch(/^100644 .*\tb\.sh\n100755 .*\trun\.sh$/);
    await chmod(join(cell.worktree, 'run.sh'), 0o644);
    expect(await changesOf(cell)).toEqual([]);
  });

  test('keeps line ends that the attributes would convert and nobody touched', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'one\r\ntwo\r\n' });
    await repository.write({ '.gitattributes': '*.txt text\n' });
    await repository.git('add', '.gitattributes');
    await repository.git('commit', '--quiet', '-m', 'Attributes');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    await chmod(join(cell.worktree, 'a.txt'), 0o755);
    expect(await changesOf(cell)).toEqual(['modified a.txt +0 -0']);
    const { protectedPathsTouched } = await cell.snapshot(['*.txt']);
    expect(protectedPathsTouched).toEqual(['a.txt']);
    expect(await changesOf(cell)).toEqual([]);
  });

  test('is put back, and named, where it is protected', async () => {
    await using cell = await cellWith({ 'test.sh': '#!/bin/sh\n' });
    await chmod(join(cell.worktree, 'test.sh'), 0o755);
    const tree = await cell.repository.git('rev-parse', 'HEAD^{tree}');
    expect(await cell.snapshot(['*.sh'])).toEqual({ tree, protectedPathsTouched: ['test.sh'] });
    expect(await isExecutable(cell, 'test.sh')).toBe(false);
  });

  test('is put back after tests that changed it so', async () => {
    await using cell = await cellWith({ 'run.sh': '#!/bin/sh\n', 'a.txt': 'a' });
    await chmod(join(cell.worktree, 'run.sh'), 0o755);
    const { gitDirectory, worktree, directory } = cell;
    const { tree } = await cell.snapshot();
    await chmod(join(worktree, 'run.sh'), 0o644);
    await chmod(join(worktree, 'a.txt'), 0o755);
    await restoreTree({ gitDirectory, worktree, indexFile: join(directory, 'cell1.index'), tree });
    expect([await isExecutable(cell, 'run.sh'), await isExecutable(cell, 'a.txt')]).toEqual([true, false]);
    expect((await cell.snapshot()).tree).toBe(tree);
  });

  test('is unchanged to a repository that has git look at no modes', async () => {
    await using repository = await temporaryRepository({ 'run.sh': '#!/bin/sh\n', 'a.txt': 'a' });
    await repository.git('update-index', '--chmod=+x', 'run.sh');
    await repository.git('commit', '--quiet', '-m', 'Executable');
    await repository.git('config', 'core.fileMode', 'false');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    await chmod(join(cell.worktree, 'run.sh'), 0o644);
    await chmod(join(cell.worktree, 'a.txt'), 0o755);
    expect((await cell.snapshot(['a.txt'])).protectedPathsTouched).toEqual([]);
    expect(await changesOf(cell)).toEqual([]);
    await writeFile(join(cell.worktree, 'run.sh'), '#!/bin/sh\ntrue\n');
    expect(await changesOf(cell)).toEqual(['modified run.sh +1 -0']);
    const { tree } = await cell.snapshot();
    expect(await repository.git('ls-tree', tree, 'run.sh')).toMatch(/^100755 /);
    await restoreWorktree(cell);
    expect(await changesOf(cell)).toEqual([]);
  });
});
