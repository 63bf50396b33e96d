import { availableParallelism } from 'node:os';
import { cp, lstat, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Semaphore } from 'async-mutex';
import { contentSettings } from './content-settings.ts';
import { WorktreeGone } from './errors.ts';
import { git } from './git.ts';
import { hostView, makeHostView } from './host-view.ts';
import { removeWorktree } from './remove-worktree.ts';
import { withRepositoryLock } from './repository-lock.ts';
import {
  adminDirectory,
  completionMark,
  firstIndex,
  firstPlaceIn,
  pointsHere,
  type WorktreePlace,
} from './worktree-paths.ts';

export interface WorktreeWanted extends WorktreePlace {
  /** Full id of the commit to check out, with a detached HEAD. */
  commit: string;
  /** The directory is there, with nothing in it but a file `.git`, and both have to stay: a sandbox shows them. */
  prepared?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Makes a worktree. Idempotent: a complete one of the same base is kept with what is in it, a half made one is made again.
 * What was made is removed when it fails. No hook of the repository runs.
 */
export async function addWorktree({
  gitDirectory,
  path,
  commit,
  prepared = false,
  signal,
}: WorktreeWanted): Promise<void> {
  const place = { gitDirectory, path };
  if (!prepared && (await isComplete(place, commit))) return;
  if (!prepared) await removeWorktree(place);
  try {
    await mkdir(dirname(path), { recursive: true });
    const add = prepared ? registerPrepared : register;
    // git takes as long over the one as over the other.
    const settings = contentSettings(gitDirectory, signal);
    await settled([settings, withRepositoryLock(gitDirectory, () => add({ ...place, commit, signal }), { signal })]);
    await makeHostView(place, commit, settings);
    await checkOut({ ...place, commit, signal });
    await cp(join(adminDirectory(place), 'index'), firstIndex(place), { preserveTimestamps: true });
    await writeFile(completionMark(place), commit);
  } catch (error) {
    await removeWorktree(place);
    throw error;
  }
}

/**
 * Throws `WorktreeGone` unless the directory is there and the repository's entry points at it:
 * in an empty directory git would work on whatever repository lies above.
 */
export async function assertWorktree(place: WorktreePlace): Promise<void> {
  const why = await whatIsMissing(place);
  if (why !== null)
    throw new WorktreeGone(`the worktree ${place.path} cannot be used: ${why}; the cell has to be made anew`);
}

/** Writes the files of a commit into a worktree that has none. */
export async function checkOut({ gitDirectory, path, commit, signal }: WorktreeWanted): Promise<void> {
  const place = await hostView({ gitDirectory, path });
  const options = { config: ['checkout.workers=2'], signal };
  await checkouts.runExclusive(() => git(['read-tree', '--reset', '-u', commit], place, options));
}

/** More at once only make each of them slower. */
const checkouts = new Semaphore(availableParallelism() * 2);

/** Waits for all of them, and then throws what the first of them threw: none goes on behind what undoes it. */
async function settled(works: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(works);
  await Promise.all(works);
}

async function isComplete(place: WorktreePlace, commit: string): Promise<boolean> {
  const mark = await readFile(completionMark(place), 'utf8').catch(() => null);
  return mark === commit && (await whatIsMissing(place)) === null;
}

/** git makes the directory of a worktree itself: so it makes another, inside, whose entry is then made that of this one. */
async function registerPrepared({ gitDirectory, path, commit, signal }: WorktreeWanted): Promise<void> {
  const inside = firstPlaceIn(path);
  await register({ gitDirectory, path: inside, commit, signal });
  // Written, and not replaced: a file that is shown elsewhere is shown no more when another takes its place.
  const dotGit = join(path, '.git');
  await writeFile(dotGit, await readFile(join(inside, '.git')), { flag: 'r+' });
  await writeFile(join(adminDirectory({ gitDirectory, path }), 'gitdir'), `${await realpath(dotGit)}\n`);
  await rm(inside, { recursive: true });
}

/** git takes a while over this, and none of it can be undone by git alone when it dies in the middle. */
async function register({ gitDirectory, path, commit, signal }: WorktreeWanted): Promise<void> {
  await git(
    ['worktree', 'add', '--detach', '--no-checkout', '--quiet', '--', path, commit],
    { gitDirectory },
    { signal },
  );
  if ((await pointsHere({ gitDirectory, path })) !== 'yes') {
    throw new Error(`git did not register ${path} as worktrees/${basename(path)} of ${gitDirectory}`);
  }
}

async function whatIsMissing(place: WorktreePlace): Promise<string | null> {
  const found = await lstat(place.path).catch(() => null);
  if (found === null) return 'it does not exist';
  if (!found.isDirectory()) return 'it is not a directory';
  if ((await readdir(place.path)).length === 0) return 'it is empty';
  const points = await pointsHere(place);
  if (points === 'yes') return null;
  return points === 'no' ? `${adminDirectory(place)} belongs to another worktree` : `${adminDirectory(place)} is gone`;
}
