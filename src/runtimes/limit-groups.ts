import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { groupName, isEmptyGroup, makeGroup, removeGroup, groupsIn } from './cgroup.ts';
import type { LimitRoot } from './limit-root.ts';
import type { Limits } from './runtime.ts';

/** No limit at all. */
export const noLimits: Limits = { memory: null, cpus: null, pids: null, disk: null };

/** What limits what a cell uses, all of its processes together. */
export interface CellLimits {
  /** Sets the limits of a cell, and answers the directories of the control groups that its processes have to join for them. Idempotent. */
  enter(cellId: string, limits: Limits): Promise<string[]>;
  /** The memory limit that is in force, bytes; null for none. */
  memoryLimit(cellId: string): Promise<number | null>;
  /** How many processes of the cell were ended for its memory since its limits were set first. */
  memoryEnds(cellId: string): Promise<number>;
  /** Removes the limits of a cell, whose processes have ended. Idempotent. */
  remove(cellId: string): Promise<void>;
  /** The cells whose control groups have nothing in them. */
  listEmpty(): Promise<string[]>;
}

/** Where groups are made that only limit: in version 2 cells are limited by the groups in which they are anyhow. */
export const limitDirectories = (root: LimitRoot | null): string[] =>
  root?.version === 1 ? [...new Set(controllers.map((controller) => root[controller]))] : [];

/** Removes the limits of all cells of a state directory, whose processes have ended. Idempotent. What cannot be removed now is found by `listEmpty`. */
export async function removeLimits(owner: string, directories: readonly string[]): Promise<void> {
  for (const directory of directories) await removeGroup(join(directory, groupName(owner))).catch(() => false);
}

/** The time within which processor time is dealt out, microseconds: the kernel's own default. */
const cpuPeriod = 100_000;

type Files = readonly [controller: Controller, name: string, value: string][];
type Controller = 'memory' | 'cpu' | 'pids';

/** Limits by control groups, which the kernel keeps. */
export function createLimitGroups(root: LimitRoot, owner: string): CellLimits {
  const place = (controller: Controller, cellId: string) => join(root[controller], groupName(owner), cellId);
  // In version 2 the three are one directory.
  const directories = (cellId: string) => [...new Set(controllers.map((controller) => place(controller, cellId)))];
  const tops = [...new Set(controllers.map((controller) => join(root[controller], groupName(owner))))];
  const read = (controller: Controller, cellId: string, name: string) =>
    readFile(join(place(controller, cellId), name), 'utf8').catch(() => '');
  return {
    async enter(cellId, limits) {
      for (const directory of directories(cellId)) await makeGroup(directory, root.version === 2 ? root.memory : null);
      for (const [controller, name, value] of filesOf(root.version, limits))
        await writeFile(join(place(controller, cellId), name), value);
      // In version 2 a cell's processes are in groups below this one, and limited with it.
      return root.version === 2 ? [] : directories(cellId);
    },
    async memoryLimit(cellId) {
      const name = root.version === 2 ? 'memory.max' : 'memory.limit_in_bytes';
      const bytes = Number(await read('memory', cellId, name));
      // Version 1 says no limit by the largest number that it has.
      return bytes > 0 && bytes < Number.MAX_SAFE_INTEGER ? bytes : null;
    },
    async memoryEnds(cellId) {
      const name = root.version === 2 ? 'memory.events' : 'memory.oom_control';
      return Number(/^oom_kill (\d+)$/m.exec(await read('memory', cellId, name))?.[1] ?? 0);
    },
    async remove(cellId) {
      if (root.version === 1) for (const directory of directories(cellId)) await removeGroup(directory);
      if (root.version === 1) for (const top of tops) await removeGroup(top, { unlessUsed: true });
    },
    async listEmpty() {
      if (root.version === 2) return [];
      const found = new Set((await Promise.all(tops.map(groupsIn))).flat());
      const empty = await Promise.all(
        [...found].map(async (cellId) => (await Promise.all(directories(cellId).map(isEmptyGroup))).every(Boolean)),
      );
      return [...found].filter((_, index) => empty[index]);
    },
  };
}

const controllers: readonly Controller[] = ['memory', 'cpu', 'pids'];

function filesOf(version: LimitRoot['version'], { memory, cpus, pids }: Limits): Files {
  const quota = cpus === null ? null : Math.max(1000, Math.round(cpus * cpuPeriod));
  const most = pids === null ? 'max' : String(pids);
  if (version === 2)
    return [
      ['memory', 'memory.max', memory === null ? 'max' : String(memory)],
      ['memory', 'memory.swap.max', memory === null ? 'max' : '0'],
      ['cpu', 'cpu.max', `${quota ?? 'max'} ${cpuPeriod}`],
      ['pids', 'pids.max', most],
    ];
  return [
    ['memory', 'memory.limit_in_bytes', memory === null ? '-1' : String(memory)],
    ['memory', 'memory.swappiness', memory === null ? '60' : '0'],
    ['cpu', 'cpu.cfs_quota_us', String(quota ?? -1)],
    ['pids', 'pids.max', most],
  ];
}
