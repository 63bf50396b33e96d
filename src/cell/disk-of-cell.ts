import { dirname } from 'node:path';
import { runProgram } from '../runner/run-program.ts';
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
  const command = ['du', '-skc', '--', worktree, directory, dirname(home), serverLog] as const;
  const ended = await runProgram({ command, timeoutMs: limitMs }, signal).catch(() => null);
  const kilobytes = /^(\d+)\ttotal$/m.exec(ended?.stdout ?? '')?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}
