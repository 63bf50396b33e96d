import { expect, test } from 'vitest';
import { UnfitWorktree } from '../../../src/git/errors.ts';
import { splitNames } from '../../../src/git/names.ts';

test('a worktree with more names than are kept in memory is not one to commit, however short they are', () => {
  const listed = Buffer.from('a\0b\0c\0');
  expect(splitNames(listed, 3)).toEqual(['a', 'b', 'c']);
  expect(() => splitNames(listed, 2)).toThrow(UnfitWorktree);
  expect(() => splitNames(listed, 2)).toThrow('the agent left too many names of files in its worktree (more than 2)');
});
