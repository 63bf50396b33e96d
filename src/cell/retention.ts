import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from './create-file.ts';
import { hostPaths, isCellId } from './paths.ts';
import { discard } from './trash.ts';

/** How long artifacts are kept when nothing else is said, in milliseconds: seven days. */
export const defaultRetentionMs = 7 * 24 * 60 * 60 * 1000;

/**
 * Deletes the artifacts of cells in which nothing was written for longer than `maximumAgeMs`.
 *
 * @param keep the cells that live, whose artifacts stay whatever their age
 * @returns the cells whose artifacts are gone now
 */
export async function expireArtifacts(
  stateDirectory: string,
  maximumAgeMs: number,
  keep: ReadonlySet<string>,
): Promise<string[]> {
  const { artifacts } = hostPaths(stateDirectory);
  const expired: string[] = [];
  for (const cellId of await namesIn(artifacts)) {
    if (!isCellId(cellId) || keep.has(cellId)) continue;
    const folder = join(artifacts, cellId);
    if (Date.now() - (await lastWritten(folder)) <= maximumAgeMs) continue;
    if (await discard(stateDirectory, folder)) expired.push(cellId);
  }
  return expired;
}

/** Of the folder and of what is in it: writing to a file does not touch its folder. Milliseconds since the epoch. */
async function lastWritten(folder: string): Promise<number> {
  const paths = [folder, ...(await namesIn(folder)).map((name) => join(folder, name))];
  const times = await Promise.all(paths.map((path) => stat(path).then((found) => found.mtimeMs, unlessGone(0))));
  return Math.max(...times);
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(unlessGone([]));
}

function unlessGone<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (codeOf(error) === 'ENOENT') return value;
    throw error;
  };
}
