import { cp, lstat, rm } from 'node:fs/promises';
import { UnfitWorktree } from './errors.ts';
import { isSpecial, onFitWorktree } from './fit-worktree.ts';
import { git, gitBytes, GitFailed, type Place } from './git.ts';
import { type HostView, hostView } from './host-view.ts';
import { joinNames, pathOf, type RawName, splitNames } from './names.ts';
import { assertNothingNested, submodulesOf } from './nested-repositories.ts';
import { undoProtectedChanges } from './protected-paths.ts';
import { splitByBytes, writeEntries } from './same-bytes.ts';
import { firstIndex } from './worktree-paths.ts';

export interface SnapshotWanted {
  gitDirectory: string;
  worktree: string;
  /** Full id. */
  baseCommit: string;
  /** An index of our own, in a directory that exists. Kept between calls: what did not change is not read again. */
  indexFile: string;
  /** Globs relative to the worktree. */
  protectedPaths: readonly string[];
  /** What git is given to take at most, bytes of changed files. @default no limit */
  mostBytes?: number;
  signal?: AbortSignal | undefined;
}

export interface Snapshot {
  /** Id of the tree: the bytes that are tested, and that are committed. */
  tree: string;
  /** What the agent had changed against `protectedPaths`, sorted. It was undone. */
  protectedPathsTouched: string[];
}

/**
 * Undoes what the agent changed in protected files, and writes all the rest of the worktree as a tree.
 * Ignored files stay out. The same files give the same tree, whatever the index held before.
 * Throws `NestedRepository` rather than lose what is in a repository inside the worktree, and `UnfitWorktree` for whatever else
 * git cannot take, or is not to take. Pipes, sockets and devices are no files, and count as not there.
 */
export async function snapshotTree(wanted: SnapshotWanted): Promise<Snapshot> {
  const take = (signal: AbortSignal) => takeTree({ ...wanted, signal });
  return await onFitWorktree(wanted, take, wanted.signal);
}

async function takeTree(wanted: SnapshotWanted): Promise<Snapshot> {
  const { gitDirectory, worktree, indexFile, protectedPaths, signal } = wanted;
  const place = await hostView({ gitDirectory, path: worktree }, indexFile);
  await startFromBase(place, wanted);
  const submodules = await submodulesOf(place, signal);
  await assertNothingNested(place, submodules, signal);
  const protectedPathsTouched = await undoProtectedChanges(place, protectedPaths, signal);
  await assertNoMore(place, wanted.mostBytes, signal);
  await addAll(place, signal);
  const { same } = await splitByBytes(place, ['diff-index', '--cached', wanted.baseCommit], signal);
  await writeEntries(place, same, signal);
  const tree = (await git(['write-tree'], place, { signal })).trim();
  return { tree, protectedPathsTouched };
}

/** @throws UnfitWorktree when what was changed is larger: git would read and keep all of it */
async function assertNoMore(place: HostView, mostBytes: number | undefined, signal?: AbortSignal): Promise<void> {
  if (mostBytes === undefined) return;
  const changed = ['ls-files', '--others', '--modified', '--exclude-standard', '-z'];
  let bytes = 0;
  for (const name of new Set(splitNames(await gitBytes(changed, place, { signal }))))
    bytes += (await lstat(pathOf(place.workTree, name)).catch(() => null))?.size ?? 0;
  if (bytes > mostBytes)
    throw new UnfitWorktree(`its changed files have ${bytes} bytes, and git is to keep ${mostBytes} at most`);
}

async function addAll(place: HostView, signal?: AbortSignal): Promise<void> {
  try {
    await git(['add', '--all'], place, { complete: true, signal });
  } catch (error) {
    if (!(error instanceof GitFailed) || !/can only add regular files/.test(error.message)) throw error;
    await forgetSpecialFiles(place, signal);
    await git(['add', '--all'], place, { complete: true, signal });
  }
}

/** Takes files of the base out of the index in whose place there is something that is not one. */
async function forgetSpecialFiles(place: HostView, signal?: AbortSignal): Promise<void> {
  const modified = splitNames(await gitBytes(['ls-files', '--modified', '-z'], place, { signal }));
  const special: RawName[] = [];
  for (const name of modified) {
    const found = await lstat(pathOf(place.workTree, name)).catch(() => null);
    if (found !== null && isSpecial(found)) special.push(name);
  }
  if (special.length === 0) return;
  await git(['update-index', '--force-remove', '-z', '--stdin'], place, { input: joinNames(special), signal });
}

/** Leaves the index with exactly the files of the base, and with what it knows of those on disk. */
async function startFromBase(place: Place, wanted: SnapshotWanted): Promise<void> {
  const { gitDirectory, worktree, baseCommit, indexFile, signal } = wanted;
  // Only we use this index; a lock on it was left by a worker that died.
  await rm(`${indexFile}.lock`, { force: true });
  // The index of the checkout knows which files are unchanged; without it git would read them all.
  // Its time is kept with it: git reads those files again that may have changed in the second in which the index was written.
  await cp(firstIndex({ gitDirectory, path: worktree }), indexFile, { force: false, preserveTimestamps: true }).catch(
    () => {},
  );
  try {
    await git(['read-tree', '-m', baseCommit], place, { signal });
  } catch {
    signal?.throwIfAborted();
    await rm(indexFile, { force: true });
    await git(['read-tree', baseCommit], place, { signal });
  }
}
