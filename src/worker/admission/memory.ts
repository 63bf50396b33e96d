import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Bytes. */
export interface Memory {
  total: number;
  /** What programs can be given without swapping: the kernel's own estimate, or what a control group leaves where that is less. */
  available: number;
}

/**
 * Reads the memory of this machine, and of the control groups of this process, of both versions.
 *
 * @param root for tests: another file system.
 */
export async function readMemory(root = '/'): Promise<Memory> {
  const info = await read(join(root, 'proc/meminfo'));
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(info)?.[1] ?? 0) * 1024;
  const groups = await Promise.all((await groupsOf(root)).map(roomOf));
  return groups.flat().reduce<Memory>(
    (least, { total, available }) => ({
      total: Math.min(least.total, total),
      available: Math.min(least.available, Math.max(0, available)),
    }),
    { total: field('MemTotal'), available: field('MemAvailable') },
  );
}

interface Group {
  directory: string;
  version: 1 | 2;
}

/** The group of this process and all above it: each may have a limit. In a container the path is one of the host, and the mount's root is ours. */
async function groupsOf(root: string): Promise<Group[]> {
  const lines = (await read(join(root, 'proc/self/cgroup'))).trim().split('\n');
  return lines.flatMap((line): Group[] => {
    const [, controllers, path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const mount = join(root, 'sys/fs/cgroup');
    if (controllers === '') return upwards(path).map((part) => ({ directory: join(mount, part), version: 2 }));
    if (!controllers?.split(',').includes('memory')) return [];
    return upwards(path).map((part) => ({ directory: join(mount, 'memory', part), version: 1 }));
  });
}

function upwards(path: string): string[] {
  const above = dirname(path);
  return above === path ? [path] : [path, ...upwards(above)];
}

const files = {
  1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', cache: 'total_inactive_file' },
  2: { limit: 'memory.max', usage: 'memory.current', cache: 'inactive_file' },
} as const;

/** What is in the page cache and was not used lately is given back when it is needed: it does not count as used. */
async function roomOf({ directory, version }: Group): Promise<Memory[]> {
  const names = files[version];
  const [limit, usage, stat] = await Promise.all(
    [names.limit, names.usage, 'memory.stat'].map((name) => read(join(directory, name))),
  );
  const total = Number.parseInt(limit ?? '', 10);
  // No such group, or no limit: `max`, or the largest number that there is.
  if (!Number.isFinite(total) || total > Number.MAX_SAFE_INTEGER) return [];
  const cache = Number(new RegExp(`^${names.cache} (\\d+)$`, 'm').exec(stat ?? '')?.[1] ?? 0);
  return [{ total, available: total - Number(usage) + cache }];
}

const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
