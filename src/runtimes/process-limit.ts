import { release } from 'node:os';
import type { SandboxPrograms } from './sandbox.ts';

/** From this version of Linux on, processes are counted within each user namespace, and not only for each user of the host. */
const countsSince = [5, 14] as const;

/** Whether the number of processes in a sandbox can be limited without control groups. */
export function countsInNamespaces(version = release()): boolean {
  const [major = 0, minor = 0] = version.split(/[.-]/, 2).map(Number);
  return major > countsSince[0] || (major === countsSince[0] && minor >= countsSince[1]);
}

/**
 * Set within the sandbox, where its user has no other process: outside, all processes of that user on the host would count. The limit
 * holds for each sandbox of a cell by itself, and nothing in it can raise it.
 */
export function withProcesses(
  words: readonly [string, ...string[]],
  most: number | null,
  { prlimit }: SandboxPrograms,
): readonly [string, ...string[]] {
  if (most === null) return words;
  if (prlimit === null) throw new Error('there is no prlimit, without which the processes of a cell cannot be limited');
  return [prlimit, `--nproc=${most}`, '--', ...words];
}
