import { lstat, readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import { NestedRepository } from './errors.ts';
import { type Place, gitBytes } from './git.ts';
import { pathOf, type RawName, readable, splitNames } from './names.ts';
import { removeTree } from './remove-worktree.ts';

type WorktreeIndex = Place & { workTree: string };

/** The submodules that the index holds. */
export async function submodulesOf(place: Place, signal?: AbortSignal): Promise<RawName[]> {
  const entries = splitNames(await gitBytes(['ls-files', '--stage', '-z'], place, { signal }));
  return entries.filter((entry) => entry.startsWith('160000 ')).map((entry) => entry.slice(entry.indexOf('\t') + 1));
}

/**
 * Throws `NestedRepository` when there is a repository below the root of the worktree, or anything in the directory of a submodule:
 * git would record at most a commit id of it, and the files would be lost. What is ignored is not looked at.
 */
export async function assertNothingNested(
  place: WorktreeIndex,
  submodules: readonly RawName[],
  signal?: AbortSignal,
): Promise<void> {
  const list = ['ls-files', '--others', '--exclude-standard', '-z'];
  const others = splitNames(await gitBytes(list, place, { complete: true, signal }));
  const tracked = await trackedFiles(place, signal);
  // git lists a repository as a directory, with a slash at the end, and does not look into it.
  const found = others.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
  found.push(...(await repositoriesAround(place, [...others, ...tracked])), ...(await filled(place, submodules)));
  const [first] = found;
  if (first === undefined) return;
  const names = [...new Set(found)].slice(0, 5).map(readable).join(', ');
  throw new NestedRepository(
    `the agent left a repository inside its worktree (${names}): files in it cannot become part of the commit; have it remove .git there, or add the directory to .gitignore`,
  );
}

/**
 * Removes what makes a directory of tracked files a repository, and the directories of submodules that are not empty. Where there was
 * nothing of the kind before, it is no work of the agent.
 */
export async function removeNested(place: WorktreeIndex, signal?: AbortSignal): Promise<void> {
  for (const directory of await repositoriesAround(place, await trackedFiles(place, signal)))
    await removeTree(pathOf(place.workTree, posix.join(directory, '.git')));
  for (const submodule of await filled(place, await submodulesOf(place, signal)))
    await removeTree(pathOf(place.workTree, submodule));
}

async function trackedFiles(place: WorktreeIndex, signal?: AbortSignal): Promise<RawName[]> {
  return splitNames(await gitBytes(['ls-files', '--cached', '-z'], place, { signal }));
}

/** The repositories below the root around any of the files. */
async function repositoriesAround(place: WorktreeIndex, names: readonly RawName[]): Promise<RawName[]> {
  const found: RawName[] = [];
  for (const directory of await ownDirectories(place, names)) {
    if (await isThere(place, posix.join(directory, '.git'))) found.push(directory);
  }
  return found;
}

/** The directories of the files that are there and belong to the worktree: what is below a link is elsewhere, and no part of a commit. */
async function ownDirectories(place: WorktreeIndex, names: readonly RawName[]): Promise<RawName[]> {
  const own = new Set<RawName>(['.']);
  // The one above comes before what is in it.
  for (const directory of [...directoriesOf(names)].sort()) {
    if (!own.has(posix.dirname(directory))) continue;
    const found = await lstat(pathOf(place.workTree, directory)).catch(() => null);
    if (found?.isDirectory()) own.add(directory);
  }
  own.delete('.');
  return [...own];
}

/** Every directory below the root that holds one of the files. */
function directoriesOf(names: readonly RawName[]): Set<RawName> {
  const directories = new Set<RawName>();
  for (const name of names) {
    for (let parent = posix.dirname(name); parent !== '.' && !directories.has(parent); parent = posix.dirname(parent)) {
      directories.add(parent);
    }
  }
  return directories;
}

async function isThere(place: WorktreeIndex, name: RawName): Promise<boolean> {
  return (await lstat(pathOf(place.workTree, name)).catch(() => null)) !== null;
}

/** A submodule is a directory that git leaves empty; one that is gone, or something else, was deleted, which can be recorded. */
async function filled(place: WorktreeIndex, submodules: readonly RawName[]): Promise<RawName[]> {
  const own = new Set(
    await ownDirectories(
      place,
      submodules.map((name) => `${name}/.git`),
    ),
  );
  const found: RawName[] = [];
  for (const name of submodules) {
    if (own.has(name) && (await readdir(pathOf(place.workTree, name))).length > 0) found.push(name);
  }
  return found;
}
