import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeGroup, removeGroup } from '../../src/runtimes/cgroup.ts';
import { findRoots } from '../../src/runtimes/found-roots.ts';
import { testRun } from '../support/run.ts';
import { sum } from './statistics.ts';
import { memoryOf } from './usage.ts';

/**
 * A control group in which the kernel counts what runs in cells, and beside it one for a Docker engine. Unlike the account of a process that
 * waits for its children, it misses nobody: not the sandbox whose parent is ended with it, nor the container that is nobody's child.
 */
export interface CountedGroup extends AsyncDisposable {
  /** The directory in which a worker makes the groups of its cells, as `CELLS_CGROUP` takes it. */
  cells: string;
  /** The same group, as an engine takes it for the parent of its containers. */
  parentOfContainers: string;
  /** The directory of the group of an engine. */
  engine: string;
  /** Seconds of processor time until now. */
  cpu(): Promise<{ cells: number; engine: number }>;
  /** MiB of PSS of the engine with what it started, but for its containers. */
  engineMemory(): Promise<number>;
}

/** Makes such a group; null where the host has no control groups of version 2 for it. */
export async function countedGroup(): Promise<CountedGroup | null> {
  const { groupRoot, limitRoot } = await findRoots();
  if (groupRoot.root === null) return null;
  const name = `agent-cells-bench-${testRun()}`;
  const at = (part: string) => join(groupRoot.root, name, part);
  // So that cells can be limited in there as they can be anywhere else.
  await makeGroup(at('cells'), limitRoot.root?.version === 2 ? groupRoot.root : null);
  await mkdir(at('engine'));
  return {
    cells: at('cells'),
    parentOfContainers: `/${name}/cells`,
    engine: at('engine'),
    cpu: async () => ({ cells: await secondsIn(at('cells')), engine: await secondsIn(at('engine')) }),
    async engineMemory() {
      const pids = (await readFile(join(at('engine'), 'cgroup.procs'), 'utf8')).trim().split('\n');
      const memories = await Promise.all(pids.map((pid) => memoryOf(Number(pid))));
      return sum(memories.map((memory) => memory?.pss ?? 0));
    },
    async [Symbol.asyncDispose]() {
      // An engine makes the parent of its containers in the hierarchies of version 1 too.
      const places = [...new Set([groupRoot.root, ...(await hierarchies())])].map((root) => join(root, name));
      for (const place of places) if (existsSync(place)) await removeGroup(place);
    },
  };
}

async function secondsIn(group: string): Promise<number> {
  const text = await readFile(join(group, 'cpu.stat'), 'utf8');
  return Number(/^usage_usec (\d+)$/m.exec(text)?.[1] ?? Number.NaN) / 1e6;
}

/** Lines of mountinfo have the mount point as their fifth field, and the type after a hyphen. */
async function hierarchies(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.flatMap((line) => (/ - cgroup2? /.test(line) ? [line.split(' ')[4] ?? ''] : []));
}
