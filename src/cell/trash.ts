import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { removeTree } from '../git/remove-worktree.ts';
import { codeOf, takesNothing } from './create-file.ts';
import type { CellHost } from './host.ts';
import { hostPaths } from './paths.ts';

/**
 * Deletes something of the state directory: its name is free at once, whatever it holds and however long that takes.
 * Idempotent.
 *
 * @returns whether there was something
 */
export async function discard(stateDirectory: string, path: string): Promise<boolean> {
  const place = await throwAway(stateDirectory, path);
  if (place !== null) await removeTree(place);
  return place !== null;
}

/** What is being deleted by this process. */
const deletions = new Set<Promise<void>>();

/**
 * As `discard`, without waiting for the end of it: a large worktree takes seconds. What is not deleted when this process ends lies
 * in the trash for the next.
 */
export async function discardSoon(stateDirectory: string, path: string): Promise<boolean> {
  const place = await throwAway(stateDirectory, path);
  if (place === null) return false;
  const deletion: Promise<void> = removeTree(place)
    .then(
      () => undefined,
      () => undefined,
    )
    .finally(() => deletions.delete(deletion));
  deletions.add(deletion);
  return true;
}

/** Waits for what was begun. */
export async function trashEmptied(): Promise<void> {
  await Promise.all(deletions);
}

/** Answers where it is now, if it still is; null when there was nothing. */
async function throwAway(stateDirectory: string, path: string): Promise<string | null> {
  const { trash } = hostPaths(stateDirectory);
  const place = join(trash, `${basename(path)}.${randomUUID()}`);
  try {
    await mkdir(trash, { recursive: true, mode: 0o700 });
    // A directory that moves gets another parent, which is a change to it: an agent may have forbidden that.
    await rename(path, place).catch(async (error: unknown) => {
      if (codeOf(error) !== 'EACCES') throw error;
      await chmod(path, 0o700);
      await rename(path, place);
    });
    return place;
  } catch (error) {
    // Where the directory above is a file there is nothing either.
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // There is no room for the trash, or for one more name in it: then it takes as long as it takes, and gives room again.
    if (takesNothing(error)) return (await removeTree(path)) ? path : null;
    throw error;
  }
}

/** How many things are being deleted, or were when a worker died. */
export async function countTrash(stateDirectory: string): Promise<number> {
  return (await readdir(hostPaths(stateDirectory).trash).catch(() => [])).length;
}

/** Deletes what a worker that died did not come to delete. Answers how many things could not be, and says so in the log: they keep nobody from starting. */
export async function emptyTrash({ stateDirectory, log }: Pick<CellHost, 'stateDirectory' | 'log'>): Promise<number> {
  const { trash } = hostPaths(stateDirectory);
  let left = 0;
  for (const name of await readdir(trash).catch(() => [])) {
    await removeTree(join(trash, name)).catch((error: unknown) => {
      left += 1;
      log.warn({ name, error }, 'what was thrown away could not be deleted; the next start tries again');
    });
  }
  return left;
}
