import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { supersededRefOf } from '../domain/names.ts';
import { type CommitWanted, writeCommit } from './commit-object.ts';
import { CommitRefused } from './errors.ts';
import { findRef, updateRefs } from './refs.ts';
import { findTipOf } from './repository.ts';

export interface BranchCommitWanted extends CommitWanted {
  /** Without `refs/heads/`. */
  branch: string;
  cellId: string;
  /** The name of the entry of its worktree in the repository. Default: the id of the cell. */
  entry?: string;
}

/**
 * Commits a tree on its base, and makes the branch point at it. Idempotent.
 * A tip that an earlier run left is kept as `refs/cells/superseded/<cellId>`, in the same transaction.
 * Throws `CommitRefused` when the branch is checked out, was moved meanwhile, or cannot have its name.
 */
export async function commitTree(wanted: BranchCommitWanted): Promise<{ commit: string }> {
  const { gitDirectory, branch, cellId, entry, signal } = wanted;
  const commit = await writeCommit(wanted);
  const tip = await findTipOf(gitDirectory, branch, signal);
  if (tip !== commit) await moveBranch({ gitDirectory, branch, cellId, entry, from: tip, to: commit, signal });
  return { commit };
}

export interface Move extends Pick<BranchCommitWanted, 'gitDirectory' | 'branch' | 'cellId' | 'signal'> {
  entry?: string | undefined;
  /** Where the branch must be; null when it must not exist. */
  from: string | null;
  to: string;
}

/** Moves a branch that is where it is expected to be, and keeps what it pointed at. */
export async function moveBranch({
  gitDirectory,
  branch,
  cellId,
  entry = cellId,
  from,
  to,
  signal,
}: Move): Promise<void> {
  const holder = await whoHasCheckedOut(gitDirectory, branch, entry);
  if (holder !== null) {
    throw new CommitRefused(
      `the branch ${branch} is checked out in ${holder} and was not moved; switch to another branch there, and run the cell again`,
    );
  }
  const updates = [{ ref: `refs/heads/${branch}`, from, to }];
  if (from !== null)
    updates.push({ ref: await freeRefFor(from, { gitDirectory, cellId, signal }), from: null, to: from });
  await updateRefs(
    gitDirectory,
    updates.filter((update) => update.from !== update.to),
    signal,
  );
}

/** A worktree, the main one included, whose HEAD is the branch: moving it would change what its owner sees as modified. */
async function whoHasCheckedOut(gitDirectory: string, branch: string, own: string): Promise<string | null> {
  const entries = await readdir(join(gitDirectory, 'worktrees')).catch(() => []);
  const others = entries.filter((entry) => entry !== own).map((entry) => join(gitDirectory, 'worktrees', entry));
  for (const directory of [gitDirectory, ...others]) {
    const head = await readFile(join(directory, 'HEAD'), 'utf8').catch(() => '');
    if (head.trimEnd() === `ref: refs/heads/${branch}`) return directory;
  }
  return null;
}

/** A cell that supersedes twice (its step ran again with another tree) keeps both. */
async function freeRefFor(
  tip: string,
  { gitDirectory, cellId, signal }: Pick<Move, 'gitDirectory' | 'cellId' | 'signal'>,
): Promise<string> {
  const ref = supersededRefOf(cellId);
  return (await findRef(gitDirectory, ref, signal)) === null ? ref : `${ref}-${tip.slice(0, 12)}`;
}
