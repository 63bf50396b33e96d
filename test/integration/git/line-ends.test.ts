import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileChanges } from '../../../src/git/changes.ts';
import { restoreWorktree } from '../../../src/git/revert.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { type Cell, cellIn } from './life.ts';

type Files = Pick<Cell, 'gitDirectory' | 'worktree' | 'baseCommit' | 'snapshot'>;

const write = (cell: Files, name: string, content: string) => writeFile(join(cell.worktree, name), content);

async function changesOf(cell: Files, protectedPaths?: string[]): Promise<string[]> {
  const { tree } = await cell.snapshot(protectedPaths);
  return (await fileChanges(cell.gitDirectory, cell.baseCommit, tree)).map(({ path, change }) => `${change} ${path}`);
}

describe('line ends', () => {
  test('that the attributes would convert do not make a file count as changed, until it is', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'one\r\ntwo\r\n', 'b.txt': 'one\r\n' });
    await repository.write({ '.gitattributes': '*.txt text\n' });
    await repository.git('add', '.gitattributes');
    await repository.git('commit', '--quiet', '-m', 'Attributes');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    expect(await changesOf(cell)).toEqual([]);
    await write(cell, 'b.txt', 'two\r\n');
    expect(await changesOf(cell, ['c.txt'])).toEqual(['modified b.txt']);
    expect((await cell.snapshot(['*.txt'])).protectedPathsTouched).toEqual(['b.txt']);
    await restoreWorktree(cell);
    expect(await changesOf(cell)).toEqual([]);
  });

  test('of a file that was much larger before are compared no further than it goes', async () => {
    await using repository = await temporaryRepository({
      'a.bat': 'a line\n'.repeat(2000),
      '.gitattributes': '*.bat text eol=crlf\n',
    });
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    await write(cell, 'a.bat', 'a line\r\n');
    expect(await changesOf(cell)).toEqual(['modified a.bat']);
  });

  test('that the checkout itself made otherwise do not make a file count as changed, until it is', async () => {
    await using repository = await temporaryRepository({ 'ä.bat': 'a\r\nb\nc\r\n', 'b.bat': 'a\r\nb\n' });
    await repository.write({ '.gitattributes': '*.bat text eol=crlf\n' });
    await repository.git('add', '.gitattributes');
    await repository.git('commit', '--quiet', '-m', 'Attributes');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    expect(await readFile(join(cell.worktree, 'ä.bat'), 'utf8')).toBe('a\r\nb\r\nc\r\n');
    expect(await changesOf(cell)).toEqual([]);
    expect((await cell.snapshot(['*.bat'])).protectedPathsTouched).toEqual([]);
    await write(cell, 'b.bat', 'a\r\nc\r\n');
    expect(await changesOf(cell)).toEqual(['modified b.bat']);
    expect((await cell.snapshot(['*.bat'])).protectedPathsTouched).toEqual(['b.bat']);
    await restoreWorktree(cell);
    expect(await changesOf(cell)).toEqual([]);
  });

  test('that an agent made otherwise make a file count as changed', async () => {
    await using repository = await temporaryRepository({ 'a.txt': 'a\r\nb\n' });
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    await write(cell, 'a.txt', 'a\r\nb\r\n');
    expect(await changesOf(cell)).toEqual(['modified a.txt']);
  });

  test('that the repository has its owner warned of are taken as they are converted', async () => {
    await using repository = await temporaryRepository();
    await repository.git('config', 'core.autocrlf', 'input');
    await repository.git('config', 'core.safecrlf', 'true');
    await using directory = await temporaryDirectory();
    const cell = await cellIn(repository, directory.path);
    await write(cell, 'new.txt', 'one\r\n');
    const { tree } = await cell.snapshot();
    expect(await repository.git('cat-file', 'blob', `${tree}:new.txt`)).toBe('one');
  });
});
