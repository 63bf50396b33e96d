import { createCellGroups } from './cgroup.ts';
import { endProcesses } from './end-processes.ts';
import { removeLimits } from './limit-groups.ts';
import { belongsTo } from './processes.ts';

/**
 * Ends every process of every cell of a state directory at once, without asking any, and removes their control groups. Idempotent.
 *
 * @param groupRoot where the groups were made; null where there are none
 * @param limitRoots where groups that only limit were made, see `limitDirectories`
 * @throws when processes do not end on SIGKILL
 */
export async function endOwner(
  owner: string,
  groupRoot: string | null,
  limitRoots: readonly string[] = [],
): Promise<void> {
  const groups = groupRoot === null ? null : createCellGroups(groupRoot, owner);
  // First of all, as it is the quickest.
  await groups?.kill();
  await endProcesses((process) => belongsTo(process, owner), 0, groups === null ? undefined : () => groups.kill());
  await groups?.remove();
  await removeLimits(owner, limitRoots);
}
