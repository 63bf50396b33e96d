import { rm } from 'node:fs/promises';
import { onFitWorktree } from './fit-worktree.ts';
import { git, gitBytes, type Place } from './git.ts';
import { hostView } from './host-view.ts';
import { joinNames, pathOf, splitNames } from './names.ts';
import { removeNested } from './nested-repositories.ts';
import { removeTree } from './remove-worktree.ts';
import { splitByBytes, worktreeChanges } from './same-bytes.ts';

export interface TreeRestoreWanted {
  gitDirectory: string;
  worktree: string;
  /** The index with which the tree was written. */
  indexFile: string;
  tree: string;
  signal?: AbortSignal | undefined;
}

/**
 * Puts a worktree back to a tree that was written from it: files that were made since go, changed and deleted ones are
 * written again. Ignored files stay, for they are no part of any tree and may be costly to make.
 *
 * Not checked afterwards: a process of the agent may be at work in the worktree.
 */
export async function restoreTree(wanted: TreeRestoreWanted): Promise<void> {
  await onFitWorktree(wanted, (signal) => putBack({ ...wanted, signal }), wanted.signal);
}

async function putBack(wanted: TreeRestoreWanted): Promise<void> {
  const { gitDirectory, worktree, indexFile, tree, signal } = wanted;
  const place = await hostView({ gitDirectory, path: worktree }, indexFile);
  // Only we use this index; a lock on it was left by a worker that died.
  await rm(`${indexFile}.lock`, { force: true });
  await git(['read-tree', '-m', tree], place, { signal });
  await removeNested(place, signal);
  // First what was added: a link or a directory may stand where a file has to be again.
  await removeAdded(place, signal);
  const { different } = await splitByBytes(place, worktreeChanges, signal);
  if (different.length > 0)
    await git(['checkout-index', '--force', '-z', '--stdin'], place, { input: joinNames(different), signal });
  // And what a changed .gitignore had kept out of sight.
  await removeAdded(place, signal);
}

async function removeAdded(place: Place & { workTree: string }, signal?: AbortSignal): Promise<void> {
  const list = ['ls-files', '--others', '--exclude-standard', '-z'];
  const added = splitNames(await gitBytes(list, place, { complete: true, signal }));
  for (const name of added) await removeTree(pathOf(place.workTree, name));
}
