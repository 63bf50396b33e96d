import type { RuntimeStats } from '../runtimes/runtime.ts';
import type { Lease } from './lease.ts';

/** What was seen of a cell when it was looked at last. */
export interface Look {
  /** Milliseconds since the epoch. */
  at: number;
  cpuMs: number;
}

/**
 * How much of one processor a cell used between two looks, in per cent; null where there was no look before. The time of processes that
 * ended meanwhile is not known any more and does not count.
 */
export function cpuPercent(before: Look | undefined, now: Look): number | null {
  if (before === undefined || now.at <= before.at) return null;
  const used = Math.max(0, now.cpuMs - before.cpuMs);
  return Math.round((used / (now.at - before.at)) * 1000) / 10;
}

/**
 * The limit that holds for a cell, bytes: the runtime's where it can be read, else the one that the cell was given, which its supervisor
 * watches, else the one at which its host replaces its server.
 */
export const memoryLimitOf = (
  { memoryLimit }: RuntimeStats,
  { limits }: Pick<Lease, 'limits'>,
  { serverMemory }: { serverMemory: number },
): number => memoryLimit ?? limits.memory ?? serverMemory;
