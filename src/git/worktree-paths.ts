import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The worktree of a cell, and the git directory of the repository that it belongs to. */
export interface WorktreePlace {
  gitDirectory: string;
  /** Its last component is an id that no other cell has, and so the name of its entry in the git directory. */
  path: string;
}

/** The entry of a worktree in its repository: git's own git directory for it. */
export function adminDirectory({ gitDirectory, path }: WorktreePlace): string {
  return join(gitDirectory, 'worktrees', basename(path));
}

/** Written into the entry when the checkout is complete: names the base commit. */
export function completionMark(place: WorktreePlace): string {
  return join(adminDirectory(place), 'agent-cells-base');
}

/** The index as it was after the checkout, before any agent could reach it. */
export function firstIndex(place: WorktreePlace): string {
  return join(adminDirectory(place), 'agent-cells-index');
}

/** Whether the entry belongs to this very worktree: `yes`, `no`, or `unknown` where it was only half made. */
export async function pointsHere(place: WorktreePlace): Promise<'yes' | 'no' | 'unknown'> {
  const target = await readFile(join(adminDirectory(place), 'gitdir'), 'utf8').catch(() => '');
  if (target.trim() === '') return 'unknown';
  const path = await canonical(place.path);
  if (target.trimEnd() === join(path, '.git')) return 'yes';
  return target.trimEnd() === join(firstPlaceIn(path), '.git') ? 'unknown' : 'no';
}

/** Where git makes the worktree of a directory that is there already. */
export const firstPlaceIn = (path: string): string => join(path, basename(path));

/** git writes real paths; the worktree itself may be gone. */
async function canonical(path: string): Promise<string> {
  const parent = await realpath(dirname(path)).catch(() => dirname(path));
  return join(parent, basename(path));
}
