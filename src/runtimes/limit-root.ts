import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type GroupRoot, switchedOff } from './cgroup-root.ts';

/** Directories of a control group hierarchy in which limits can be set, one for each controller; in version 2 all the same. */
export interface LimitRoot {
  version: 1 | 2;
  memory: string;
  cpu: string;
  pids: string;
}

/** Where limits can be set, or why nowhere. */
export type FoundLimitRoot = { root: LimitRoot } | { root: null; why: string };

/**
 * Finds out by what the memory, the processors and the number of processes of a cell can be limited here: the groups of version 2
 * where they have the controllers, else those of version 1. Each is tried.
 *
 * @param groups where the groups of cells are made
 */
export async function findLimitRoot(groups: GroupRoot): Promise<FoundLimitRoot> {
  if (groups.root !== null && (await hasControllers(groups.root)))
    return { root: { version: 2, memory: groups.root, cpu: groups.root, pids: groups.root } };
  if (groups.root === null && groups.why === switchedOff) return groups;
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const [memory, cpu, pids] = await Promise.all(
    (['memory', 'cpu', 'pids'] as const).map((controller) => writableMount(mounts, controller)),
  );
  if (memory != null && cpu != null && pids != null) return { root: { version: 1, memory, cpu, pids } };
  return { root: null, why: 'no control groups with the controllers memory, cpu and pids can be made here' };
}

/** They have to be handed down from the top, which a process in the top itself would prevent. */
async function hasControllers(root: string): Promise<boolean> {
  const there = (await readFile(join(root, 'cgroup.controllers'), 'utf8').catch(() => '')).trim().split(' ');
  if (!['memory', 'cpu', 'pids'].every((controller) => there.includes(controller))) return false;
  return await writeFile(join(root, 'cgroup.subtree_control'), '+memory +cpu +pids').then(
    () => true,
    () => false,
  );
}

/** Lines of mountinfo end with the type after a hyphen, the source, and the options, which name the controllers. */
async function writableMount(mounts: string, controller: string): Promise<string | null> {
  for (const line of mounts.split('\n')) {
    const [fields = '', rest = ''] = line.split(' - ');
    const [type, , options = ''] = rest.split(' ');
    const [, , , within = '/', mountPoint] = fields.split(' ');
    if (type !== 'cgroup' || within !== '/' || !options.split(',').includes(controller)) continue;
    if (mountPoint !== undefined && (await canMake(mountPoint))) return mountPoint;
  }
  return null;
}

async function canMake(mountPoint: string): Promise<boolean> {
  const group = join(mountPoint, `agent-cells-try-${randomUUID()}`);
  try {
    await mkdir(group);
    await rmdir(group);
    return true;
  } catch {
    return false;
  }
}
