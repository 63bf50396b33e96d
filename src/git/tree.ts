import { cp, rm } from 'node:fs/promises';
import { git, type Place } from './git.ts';
import { hostView } from './host-view.ts';
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
 * Throws `NestedRepository` rather than lose what is in a repository inside the worktree.
 */
export async function snapshotTree(wanted: SnapshotWanted): Promise<Snapshot> {
  const { gitDirectory, worktree, indexFile, protectedPaths, signal } = wanted;
  const place = await hostView({ gitDirectory, path: worktree }, indexFile);
  await startFromBase(place, wanted);
  const submodules = await submodulesOf(place, signal);
  await assertNothingNested(place, submodules, signal);
  const protectedPathsTouched = await undoProtectedChanges(place, protectedPaths, signal);
  await git(['add', '--all'], place, { signal });
  const { same } = await splitByBytes(place, ['diff-index', '--cached', wanted.baseCommit], signal);
  await writeEntries(place, same, signal);
  const tree = (await git(['write-tree'], place, { signal })).trim();
  return { tree, protectedPathsTouched };
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
