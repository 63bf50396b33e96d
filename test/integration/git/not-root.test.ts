import { chmod, readdir } from 'node:fs/promises';
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
});
