import { describe, expect, test } from 'vitest';
import { namedFiles, namedProtectedPaths } from '../../../src/domain/named-paths.ts';
import type { FileChange } from '../../../src/domain/outcome.ts';

const change = (path: string): FileChange => ({ path, change: 'added', additions: 1, deletions: 0 });
const paths = (count: number, path: (index: number) => string) => Array.from({ length: count }, (_, at) => path(at));

describe('the paths of a report', () => {
  test('are all there, and nothing else, where they are few', () => {
    const few = paths(1000, (at) => `src/${at}.ts`);
    expect(namedFiles(few.map(change))).toEqual({ filesModified: few.map(change) });
    expect(namedProtectedPaths(few)).toEqual({ protectedPathsTouched: few });
  });

  test('are the first thousand, and the number of the others', () => {
    const many = paths(45_000, (at) => `src/${at}.ts`);
    expect(namedFiles(many.map(change))).toEqual({
      filesModified: many.slice(0, 1000).map(change),
      filesLeftOut: 44_000,
    });
    expect(namedProtectedPaths(many)).toEqual({
      protectedPathsTouched: many.slice(0, 1000),
      protectedPathsLeftOut: 44_000,
    });
  });

  test.each([
    ['plain', 'x'],
    ['of three bytes each', '漢'],
    ['of four bytes each', '𝄞'],
    ['escaped', '\u0001'],
  ])('take 256 KiB at most, of letters that are %s', (_, letter) => {
    const long = paths(1000, (at) => `${at}/${letter.repeat(1000)}`);
    const { protectedPathsTouched, protectedPathsLeftOut = 0 } = namedProtectedPaths(long);
    const bytes = (count: number) =>
      long.slice(0, count).reduce((sum, path) => sum + Buffer.byteLength(JSON.stringify(path)), 0);
    expect(protectedPathsTouched.length + protectedPathsLeftOut).toBe(1000);
    expect(bytes(protectedPathsTouched.length)).toBeLessThanOrEqual(256 * 1024);
    expect(bytes(protectedPathsTouched.length + 1)).toBeGreaterThan(256 * 1024);
  });
});
