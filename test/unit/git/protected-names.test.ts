import { expect, test } from 'vitest';
import { UnfitWorktree } from '../../../src/git/errors.ts';
import { protectedNames } from '../../../src/git/protected-names.ts';

test('globs stand for files of any name, and for all that is in a directory', async () => {
  const names = ['test/a.ts', 'test/.hidden/b', 'test/evil\nname', 'tests/a.ts', 'src/a.test.ts', 'src/a.ts', '!x'];
  expect(await protectedNames({ globs: ['./test/', '**/*.test.ts', '!x'], names })).toEqual([
    'test/a.ts',
    'test/.hidden/b',
    'test/evil\nname',
    'src/a.test.ts',
    '!x',
  ]);
});

test('a worktree whose names take too long to match is not one to commit, and says why', async () => {
  const matching = protectedNames({ globs: ['(a+)+b'], names: ['a'.repeat(200)] }, undefined, 500);
  await expect(matching).rejects.toThrow(UnfitWorktree);
  await expect(matching).rejects.toThrow('take longer than 0.5 seconds to compare with protectedPaths');
});
