import { type GroupRoot, type GroupSetting, findGroupRoot } from './cgroup-root.ts';
import { type FoundLimitRoot, findLimitRoot } from './limit-root.ts';

/** Where this host lets us make control groups, by which cells are found and by which they are limited. */
export async function findRoots(setting?: GroupSetting): Promise<{ groupRoot: GroupRoot; limitRoot: FoundLimitRoot }> {
  const groupRoot = await findGroupRoot(setting);
  return { groupRoot, limitRoot: await findLimitRoot(groupRoot) };
}
