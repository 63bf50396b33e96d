import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { chmod, lstat, open as openFile, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
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
  const text = await shortFile(join(path, '.git'));
  const entry = /^gitdir: (\/.*)\n?$/.exec(text)?.[1];
  if (entry === undefined || basename(entry) !== basename(path)) return null;
  return basename(dirname(entry)) === 'worktrees' ? dirname(dirname(entry)) : null;
}

/** The text of a small file; empty where it is anything else, a link or a pipe say. */
async function shortFile(path: string): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  await using file = await openFile(path, flags).catch(() => null);
  const found = await file?.stat();
  if (!file || !found?.isFile() || found.size > 8192) return '';
  return (await file.readFile('utf8')).slice(0, 8192);
}

/** Removes a directory or file with all that is in it, also where permissions were taken away. Answers whether there was one. */
export async function removeTree(path: string | Buffer): Promise<boolean> {
  if (!(await exists(path))) return false;
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  await remove().catch(async () => {
    if ((await lstat(path)).isDirectory()) await flatten(Buffer.from(path));
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

/**
 * Empties a directory in which permissions were taken away, or that is deeper than a path can be long: what is in its directories comes up
 * into it, one level at a time. Symbolic links are not followed: what they lead to is not ours.
 */
async function flatten(root: Buffer): Promise<void> {
  const at = (directory: Buffer, name: Buffer | string) =>
    Buffer.concat([directory, Buffer.from('/'), Buffer.from(name)]);
  for (let entries = await open(root); entries.length > 0; entries = await open(root)) {
    for (const entry of entries) {
      const path = at(root, entry.name);
      if (!entry.isDirectory()) await unlink(path);
      else {
        for (const inner of await open(path)) {
          const from = at(path, inner.name);
          if (!inner.isDirectory()) await unlink(from);
          else {
            // A directory that moves gets another parent, which is a change to it.
            await chmod(from, 0o700);
            await rename(from, at(root, randomUUID()));
          }
        }
        await rmdir(path);
      }
    }
  }
}

async function open(directory: Buffer): Promise<Dirent<Buffer>[]> {
  await chmod(directory, 0o700);
  return await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
}
