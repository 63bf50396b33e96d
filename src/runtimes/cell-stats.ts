import { readFile } from 'node:fs/promises';
import { proportionalSize } from './cell-memory.ts';
import { withDescendants } from './descendants.ts';
import { belongsTo, type ProcessEntry, scanProcesses } from './processes.ts';
import type { RuntimeStats } from './runtime.ts';

/** A clock tick as `/proc` counts them: `USER_HZ`, which is 100 on every Linux. */
const tickMs = 10;

/** One look serves all who ask within this time, milliseconds: a host asks for one of its cells after the other. */
const lookLasts = 500;
let lastLook: { at: number; entries: Promise<ProcessEntry[]> } | null = null;

function recentScan(): Promise<ProcessEntry[]> {
  const now = Date.now();
  if (lastLook === null || now - lastLook.at > lookLasts || now < lastLook.at)
    lastLook = { at: now, entries: scanProcesses() };
  return lastLook.entries;
}

/** What the processes of a cell use, by a look at /proc that is half a second old at most; null when there are none. */
export async function cellStats(
  owner: string,
  cellId: string,
  memoryLimit: number | null,
): Promise<RuntimeStats | null> {
  const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId) || undefined;
  const own = [...withDescendants(await recentScan(), isOurs).keys()];
  if (own.length === 0) return null;
  const [sizes, times] = await Promise.all([
    Promise.all(own.map(({ pid }) => proportionalSize(pid))),
    Promise.all(own.map(processorTime)),
  ]);
  return { memory: sum(sizes), memoryLimit, cpuMs: sum(times), processes: own.length };
}

async function processorTime({ pid }: ProcessEntry): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // From the third field on, as the second may have spaces in it: user and system time are the 14th and the 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * tickMs;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
