import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { supersededRefOf } from '../domain/names.ts';
import { type CommitWanted, writeCommit } from './commit-object.ts';
import { CommitRefused } from './errors.ts';
import { git, GitFailed } from './git.ts';
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
  const holder = await whoHasCheckedOut({ gitDirectory, branch, entry, signal });
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

/**
 * A worktree, the main one included, whose HEAD is the branch: moving it would change what its owner sees as modified. A branch that
 * was not born yet counts. git is asked, since only it knows how the repository keeps a HEAD; and for all worktrees, since
 * of a branch it names but one, which may be ours.
 */
async function whoHasCheckedOut({
  gitDirectory,
  branch,
  entry,
  signal,
}: Pick<Move, 'gitDirectory' | 'branch' | 'signal'> & { entry: string }): Promise<string | null> {
  const ours = `worktree ${await pathOfWorktree(gitDirectory, entry)}`;
  const list = await git(['worktree', 'list', '--porcelain'], { gitDirectory }, { signal });
  for (const worktree of list.split('\n\n')) {
    const [path = '', ...state] = worktree.split('\n');
    if (state.includes(`branch refs/heads/${branch}`) && path !== ours) return path.slice('worktree '.length);
  }
  // That of a bare repository is not in the list.
  const head = await git(['symbolic-ref', '--quiet', 'HEAD'], { gitDirectory }, { signal }).catch((error: unknown) => {
    // It is a commit.
    if (error instanceof GitFailed && error.exitCode === 1) return '';
    throw error;
  });
  return head.trimEnd() === `refs/heads/${branch}` ? gitDirectory : null;
}

/** As git lists it; empty when there is no such entry. */
async function pathOfWorktree(gitDirectory: string, entry: string): Promise<string> {
  const dotGit = await readFile(join(gitDirectory, 'worktrees', entry, 'gitdir'), 'utf8').catch(() => '');
  return dotGit.trimEnd().replace(/\/\.git$/, '');
}

/** A cell that supersedes twice (its step ran again with another tree) keeps both. */
async function freeRefFor(
  tip: string,
  { gitDirectory, cellId, signal }: Pick<Move, 'gitDirectory' | 'cellId' | 'signal'>,
): Promise<string> {
  const ref = supersededRefOf(cellId);
  return (await findRef(gitDirectory, ref, signal)) === null ? ref : `${ref}-${tip.slice(0, 12)}`;
}
