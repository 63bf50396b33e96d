import { randomUUID } from 'node:crypto';
import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { revertedRefOf } from '../domain/names.ts';
import { type CommitWanted, writeCommit } from './commit-object.ts';
import { git, gitBytes } from './git.ts';
import { hostView } from './host-view.ts';
import { readable, splitNames } from './names.ts';
import { findRef, updateRefs } from './refs.ts';
import { removeTree } from './remove-worktree.ts';
import { splitByBytes, worktreeChanges } from './same-bytes.ts';
import { adminDirectory, type WorktreePlace } from './worktree-paths.ts';
import { assertWorktree, checkOut } from './worktree.ts';

/**
 * Keeps work that is not to be committed under `refs/cells/reverted/<cellId>`. Idempotent;
 * a later run that finds nothing changed, since the worktree was already restored, does not take the work away.
 */
export async function keepReverted(
  wanted: CommitWanted & { cellId: string },
): Promise<{ ref: string; commit: string }> {
  const { gitDirectory, tree, baseCommit, cellId, signal } = wanted;
  const ref = revertedRefOf(cellId);
  const kept = await findRef(gitDirectory, ref, signal);
  if (kept !== null && tree === (await treeOf(gitDirectory, baseCommit, signal))) return { ref, commit: kept };
  const commit = await writeCommit(wanted);
  if (commit !== kept) await updateRefs(gitDirectory, [{ ref, from: kept, to: commit }], signal);
  return { ref, commit };
}

export interface RestoreWanted {
  gitDirectory: string;
  worktree: string;
  baseCommit: string;
  signal?: AbortSignal | undefined;
}

/**
 * Makes a worktree exactly its base again: whatever else is in it goes, ignored files and nested repositories too.
 * No process may be at work in it. Throws when it is not equal to the base afterwards.
 */
export async function restoreWorktree({ gitDirectory, worktree, baseCommit, signal }: RestoreWanted): Promise<void> {
  const place = { gitDirectory, path: worktree };
  await assertWorktree(place);
  const admin = adminDirectory(place);
  const found = await readdir(worktree, { encoding: 'buffer' });
  // There first: a run that is cut off must not leave an empty directory, which would be a worktree no more.
  const dotGit = join(worktree, `.git-${randomUUID()}`);
  await writeFile(dotGit, `gitdir: ${admin}\n`, { flag: 'wx' });
  // Nothing that the agent could write is asked what changed: all goes, and is written anew.
  for (const entry of found) await removeTree(Buffer.concat([Buffer.from(`${worktree}/`), entry]));
  await rename(dotGit, join(worktree, '.git'));
  await rm(join(admin, 'index'), { force: true });
  await rm(join(admin, 'index.lock'), { force: true });
  // A link, where the repository keeps a HEAD as one: what is written goes in its place, and not to where it leads.
  const head = join(admin, `HEAD-${randomUUID()}`);
  await writeFile(head, `${baseCommit}\n`, { flag: 'wx' });
  await rename(head, join(admin, 'HEAD'));
  await checkOut({ ...place, commit: baseCommit, signal });
  await assertEqual(place, baseCommit, signal);
}

/** The tree of a commit. */
export async function treeOf(gitDirectory: string, commit: string, signal?: AbortSignal): Promise<string> {
  return (
    await git(['rev-parse', '--verify', '--end-of-options', `${commit}^{tree}`], { gitDirectory }, { signal })
  ).trim();
}

async function assertEqual(place: WorktreePlace, baseCommit: string, signal?: AbortSignal): Promise<void> {
  const admin = adminDirectory(place);
  const files = await hostView(place);
  const { different } = await splitByBytes(files, worktreeChanges, signal);
  const others = splitNames(await gitBytes(['ls-files', '--others', '-z'], files, { signal }));
  const head = (await readFile(join(admin, 'HEAD'), 'utf8')).trim();
  if (different.length + others.length === 0 && head === baseCommit) return;
  const found = [...different, ...others].slice(0, 5).map(readable).join(', ');
  throw new Error(
    `the worktree ${place.path} could not be put back to ${baseCommit}: something still writes to it (${found || head})`,
  );
}
