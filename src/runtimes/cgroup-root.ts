import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rmdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { enterGroup, placesIn } from './cgroup.ts';

/** `auto`, `off`, or the absolute path of a directory of a cgroup v2 hierarchy. */
export type GroupSetting = string;

/** A directory in which this process may make groups and put children into them, or why there is none. */
export type GroupRoot = { root: string } | { root: null; why: string };

/** What is said where the operator wants no groups. */
export const switchedOff = 'control groups are switched off';

/** What `statfs` calls a cgroup v2 file system. */
const cgroup2 = 0x63677270;

/**
 * Finds the directory under which the groups of cells can be made: the top of the hierarchy where it is writable, else the group of
 * this process where it was delegated (systemd's `Delegate=yes`), or that of its service where it has one within that
 * (`DelegateSubgroup=`). Each is tried by putting a process into a group of it.
 */
export async function findGroupRoot(setting: GroupSetting = 'auto'): Promise<GroupRoot> {
  if (setting === 'off') return { root: null, why: switchedOff };
  const candidates = setting === 'auto' ? await candidateRoots() : [setting];
  let why = 'there is no cgroup v2 hierarchy';
  for (const root of candidates) {
    const refusal = await whyUnusable(root);
    if (refusal === null) return { root };
    why = `no group can be made in ${root}: ${refusal}`;
  }
  return { root: null, why };
}

async function candidateRoots(): Promise<string[]> {
  const [mounts = '', own = ''] = await Promise.all(
    ['mountinfo', 'cgroup'].map((name) => readFile(`/proc/self/${name}`, 'utf8').catch(() => '')),
  );
  return rootsToTry(mounts, own);
}

/** @param mounts `/proc/self/mountinfo` @param own `/proc/self/cgroup` */
export function rootsToTry(mounts: string, own: string): string[] {
  const ownPath = /^0::(.*)$/m.exec(own)?.[1] ?? '/';
  // A group with a process in it cannot hand the controllers on, so a service that is to limit its cells is in a group below its own.
  const service = dirname(ownPath).endsWith('.service') ? [dirname(ownPath)] : [];
  // Inside of a cell, a group at the top would be out of reach of the one who is to end that cell.
  const paths = placesIn(own).length > 0 ? [ownPath] : ['/', ...service, ownPath];
  return [...new Set(mountPoints(mounts).flatMap((mountPoint) => paths.map((path) => join(mountPoint, path, '.'))))];
}

/** Lines of mountinfo have the mount point as their fifth field, and the type after a hyphen. */
const mountPoints = (mounts: string): string[] =>
  mounts.split('\n').flatMap((line) => (line.includes(' - cgroup2 ') ? [line.split(' ')[4] ?? ''] : []));

async function whyUnusable(root: string): Promise<string | null> {
  try {
    if ((await statfs(root)).type !== cgroup2) return 'it is not in a cgroup v2 hierarchy';
    const group = join(root, `agent-cells-try-${randomUUID()}`);
    await mkdir(group);
    try {
      const [program, ...words] = enterGroup(group, ['true'], {});
      await promisify(execFile)(program, words);
    } finally {
      await removeTried(group);
    }
    return null;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}

/** The process that tried it has been waited for, and still takes a moment to leave. */
async function removeTried(group: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rmdir(group);
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(10);
    }
  }
}
