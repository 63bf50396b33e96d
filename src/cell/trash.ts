import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { codeOf } from './create-file.ts';
import { hostPaths } from './paths.ts';

/**
 * Deletes something of the state directory: its name is free at once, whatever it holds and however long that takes.
 * Idempotent.
 *
 * @returns whether there was something
 */
export async function discard(stateDirectory: string, path: string): Promise<boolean> {
  const { trash } = hostPaths(stateDirectory);
  await mkdir(trash, { recursive: true, mode: 0o700 });
  const place = join(trash, `${basename(path)}.${randomUUID()}`);
  try {
    await rename(path, place);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
  await rm(place, { recursive: true, force: true, maxRetries: 3 });
  return true;
}

/** How many things are being deleted, or were when a worker died. */
export async function countTrash(stateDirectory: string): Promise<number> {
  return (await readdir(hostPaths(stateDirectory).trash).catch(() => [])).length;
}

/** Deletes what a worker that died did not come to delete. */
export async function emptyTrash(stateDirectory: string): Promise<void> {
  await rm(hostPaths(stateDirectory).trash, { recursive: true, force: true, maxRetries: 3 });
}
