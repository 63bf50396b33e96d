import type { CellReport, FileChange } from './outcome.ts';
import { bytesOfText } from './text-bytes.ts';

/** How many paths a report names in one list, and how many bytes of JSON they take: Temporal takes no more than 2 MiB of a step, all in all. */
const most = { entries: 1_000, bytes: 256 * 1024 };

/** The first of these files, as many as a report names, and how many it does not. */
export function namedFiles(files: readonly FileChange[]): Pick<CellReport, 'filesModified' | 'filesLeftOut'> {
  const count = countNamed(files.map(({ path }) => path));
  const leftOut = files.length - count;
  return { filesModified: files.slice(0, count), ...(leftOut > 0 ? { filesLeftOut: leftOut } : {}) };
}

/** The first of these protected paths, as many as a report names, and how many it does not. */
export function namedProtectedPaths(
  paths: readonly string[],
): Pick<CellReport, 'protectedPathsTouched' | 'protectedPathsLeftOut'> {
  const count = countNamed(paths);
  const leftOut = paths.length - count;
  return { protectedPathsTouched: paths.slice(0, count), ...(leftOut > 0 ? { protectedPathsLeftOut: leftOut } : {}) };
}

function countNamed(paths: readonly string[]): number {
  let bytes = 0;
  const end = paths.slice(0, most.entries).findIndex((path) => {
    bytes += bytesOfText(JSON.stringify(path));
    return bytes > most.bytes;
  });
  return end === -1 ? Math.min(paths.length, most.entries) : end;
}
