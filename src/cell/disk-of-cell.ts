import { dirname } from 'node:path';
import { execa } from 'execa';
import type { CellHost } from './host.ts';
import { cellPaths } from './paths.ts';
import { serverPlace } from './server-place.ts';

/**
 * What the files of a cell take on the disk, bytes: worktree, home, temporary files, its private git, and the log of its server. Null when that
 * cannot be told, or not in time. An agent may remove what is being counted.
 *
 * @param limitMs how long it may take, milliseconds: it walks over every file
 */
export async function diskOf(
  { stateDirectory }: Pick<CellHost, 'stateDirectory'>,
  cellId: string,
  { limitMs, signal }: { limitMs: number; signal?: AbortSignal },
): Promise<number | null> {
  const { directory, serverLog } = cellPaths(stateDirectory, cellId);
  const { home, worktree } = await serverPlace(stateDirectory, cellId);
  // Above the home is what else a server that was booted ahead has, or the directory of the cell again, which is counted once.
  const { stdout } = await execa('du', ['-skc', '--', worktree, directory, dirname(home), serverLog], {
    reject: false,
    timeout: limitMs,
    // The last line has a word of the language of its user.
    env: { LC_ALL: 'C' },
    stdin: 'ignore',
    stderr: 'ignore',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  const kilobytes = /^(\d+)\ttotal$/m.exec(stdout)?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}
