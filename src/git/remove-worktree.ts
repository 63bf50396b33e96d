import { chmod, lstat, readFile, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { putBackProjectFile } from './project-file.ts';
import { withRepositoryLock } from './repository-lock.ts';
import { adminDirectory, completionMark, pointsHere, type WorktreePlace } from './worktree-paths.ts';

/**
 * Removes a worktree and its entry in the repository, and no other entry. Idempotent: answers whether there was anything to remove.
 * Works without the repository too. git is not asked, since it would look at files that the agent had in hand.
 *
 * @param remove how the directory is removed; answers whether there was one
 */
export async function removeWorktree(
  place: WorktreePlace,
  remove: (path: string) => Promise<boolean> = removeTree,
): Promise<boolean> {
  const directory = await remove(place.path);
  if (!(await exists(adminDirectory(place)))) return directory;
  return await withRepositoryLock(place.gitDirectory, async () => (await removeEntry(place)) || directory);
}

/**
 * Removes a worktree of which nothing is known but its path: the lease that named its repository is gone.
 * Its own `.git` file was in the hands of an agent, and is believed only where an entry of this name points back at it.
 */
export async function removeUnknownWorktree(
  path: string,
  remove: (path: string) => Promise<boolean> = removeTree,
): Promise<boolean> {
  const gitDirectory = await repositoryOf(path);
  const place = gitDirectory === null ? null : { gitDirectory, path };
  return place !== null && (await pointsHere(place)) === 'yes' ? removeWorktree(place, remove) : remove(path);
}

async function repositoryOf(path: string): Promise<string | null> {
  const file = join(path, '.git');
  const found = await lstat(file).catch(() => null);
  if (!found?.isFile() || found.size > 8192) return null;
  const entry = /^gitdir: (\/.*)\n?$/.exec(await readFile(file, 'utf8'))?.[1];
  if (entry === undefined || basename(entry) !== basename(path)) return null;
  return basename(dirname(entry)) === 'worktrees' ? dirname(dirname(entry)) : null;
}

/** Removes a directory or file with all that is in it, also where permissions were taken away. Answers whether there was one. */
export async function removeTree(path: string | Buffer): Promise<boolean> {
  if (!(await exists(path))) return false;
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  await remove().catch(async () => {
    await makeRemovable(Buffer.from(path));
    await remove();
  });
  return true;
}

async function removeEntry(place: WorktreePlace): Promise<boolean> {
  const admin = adminDirectory(place);
  const ours = (await pointsHere(place)) !== 'no' || (await exists(completionMark(place)));
  if (!ours) return false;
  await putBackProjectFile(place);
  const removed = await removeTree(admin);
  // As git does it: the directory of the entries goes with the last of them.
  await rmdir(dirname(admin)).catch(() => {});
  return removed;
}

async function exists(path: string | Buffer): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}

/** Symbolic links are not followed: what they lead to is not ours. */
async function makeRemovable(path: Buffer): Promise<void> {
  if (!(await lstat(path)).isDirectory()) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path, { encoding: 'buffer' })) {
    await makeRemovable(Buffer.concat([path, Buffer.from('/'), name]));
  }
}
