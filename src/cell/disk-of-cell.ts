import { dirname } from 'node:path';
import { runProgram } from '../runner/run-program.ts';
import type { CellHost } from './host.ts';
import { cellPaths } from './paths.ts';
import { serverPlace } from './server-place.ts';

/** What a file counts at least, KiB: an empty one has no block, but takes one of the inodes, which run out as blocks do. */
const leastOfFile = 4;

/**
 * What the files of a cell take on the disk, bytes: worktree, home, temporary files, its private git, and the log of its server; but 4 KiB for
 * each file or directory at least. Null when that cannot be told, or not in time. An agent may remove what is being counted.
 *
 * @param limitMs how long it may take, milliseconds: it walks over every file, twice
 */
export async function diskOf(
  { stateDirectory }: Pick<CellHost, 'stateDirectory'>,
  cellId: string,
  { limitMs, signal }: { limitMs: number; signal?: AbortSignal },
): Promise<number | null> {
  const { directory, serverLog } = cellPaths(stateDirectory, cellId);
  const { home, worktree } = await serverPlace(stateDirectory, cellId);
  // Above the home is what else a server that was booted ahead has, or the directory of the cell again, which is counted once.
  const places = [worktree, directory, dirname(home), serverLog];
  const inTime = AbortSignal.any([AbortSignal.timeout(limitMs), ...(signal === undefined ? [] : [signal])]);
  try {
    const kilobytes = await totalOf(['-skc'], places, inTime);
    if (kilobytes === null) return null;
    // Only the `du` of GNU counts inodes.
    const files = (await totalOf(['-sc', '--inodes'], places, inTime)) ?? 0;
    return Math.max(kilobytes, files * leastOfFile) * 1024;
  } catch {
    return null;
  }
}

/** @throws when the signal aborts */
async function totalOf(
  flags: readonly string[],
  places: readonly string[],
  signal: AbortSignal,
): Promise<number | null> {
  const command = ['du', ...flags, '--', ...places] as const;
  const { stdout } = await runProgram({ command }, signal);
  const total = /^(\d+)\ttotal$/m.exec(stdout)?.[1];
  return total === undefined ? null : Number(total);
}
