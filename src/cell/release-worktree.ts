import { removeUnknownWorktree, removeWorktree } from '../git/remove-worktree.ts';
import type { CellHost } from './host.ts';
import { discardSoon } from './trash.ts';

/**
 * Removes a worktree, and its entry in the repository. Idempotent; answers whether there was anything of it.
 *
 * @param gitDirectory null when nobody knows it any more
 */
export function releaseWorktree(host: CellHost, gitDirectory: string | null, path: string): Promise<boolean> {
  const remove = (directory: string) => discardSoon(host.stateDirectory, directory);
  return gitDirectory === null ? removeUnknownWorktree(path, remove) : removeWorktree({ gitDirectory, path }, remove);
}
