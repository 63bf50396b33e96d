import { chmod, lstat, readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { asNobody, changesIn, snapshotAsNobody } from './as-nobody.ts';
import { hostileCell } from './hostile-host.ts';

describe('a worker that is not root', () => {
  test('makes readable what it may not read, and neither loses it nor finds it in its way', async () => {
    await using cell = await hostileCell();
    await cell.plant({ 'a.txt': 'changed\n', 'dir/b.txt': 'changed\n', 'closed/new.txt': 'new\n' });
    await Promise.all(['a.txt', 'dir', 'closed/new.txt', 'closed'].map((name) => chmod(cell.at(name), 0o000)));
    const { tree } = await snapshotAsNobody(cell);
    expect(await changesIn(cell, tree)).toEqual(['M\ta.txt', 'A\tclosed/new.txt', 'M\tdir/b.txt']);
    await asNobody(cell, 'restoreWorktree');
    expect(await readdir(cell.worktree)).toEqual(['.git', 'a.txt', 'dir']);
  });

  test('takes the changed files of a directory that can be listed and not entered', async () => {
    await using cell = await hostileCell();
    await cell.plant({ 'dir/b.txt': 'changed\n' });
    await chmod(cell.at('dir'), 0o644);
    const { tree } = await snapshotAsNobody(cell);
    expect(await changesIn(cell, tree)).toEqual(['M\tdir/b.txt']);
  });

  test('puts back what tests left in directories that it may not write', async () => {
    await using cell = await hostileCell();
    await cell.plant({ 'a.txt': 'changed\n' });
    const { tree } = await snapshotAsNobody(cell);
    await cell.plant({ 'modules/m/f': 'x\n', 'dir/b.txt': 'x\n' });
    await Promise.all(['modules/m', 'dir'].map((name) => chmod(cell.at(name), 0o555)));
    await asNobody(cell, 'restoreTree', { tree });
    expect(await snapshotAsNobody(cell)).toEqual({ tree, protectedPathsTouched: [] });
    expect(await readFile(cell.at('dir/b.txt'), 'utf8')).toBe('b\n');
    await expect(lstat(cell.at('modules/m/f'))).rejects.toThrow('ENOENT');
  });

  test('takes nothing for the work of an agent that tests left where it could not look', async () => {
    await using cell = await hostileCell({ 'dir/b.txt': 'b\n' });
    await cell.plant({ 'a.txt': 'new\n' });
    const { tree } = await snapshotAsNobody(cell);
    await cell.plant({ 'dir/b.txt': 'changed\n', 'closed/left': 'x\n' });
    await Promise.all([chmod(cell.at('dir'), 0o644), chmod(cell.at('closed'), 0o000)]);
    await asNobody(cell, 'restoreTree', { tree });
    expect(await snapshotAsNobody(cell)).toEqual({ tree, protectedPathsTouched: [] });
  });

  test('removes from a protected directory what was added, though it may not write there any more', async () => {
    await using cell = await hostileCell();
    await cell.plant({ 'dir/new.txt': 'new\n' });
    await chmod(cell.at('dir'), 0o555);
    const { tree, protectedPathsTouched } = await snapshotAsNobody(cell, ['dir']);
    expect(protectedPathsTouched).toEqual(['dir/new.txt']);
    expect(await changesIn(cell, tree)).toEqual([]);
    await expect(lstat(cell.at('dir/new.txt'))).rejects.toThrow('ENOENT');
  });
});
