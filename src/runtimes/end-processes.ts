import { setTimeout as delay } from 'node:timers/promises';
import { withDescendants } from './descendants.ts';
import { isAlive, type ProcessEntry, type ProcessIdentity, pursueProcesses, scanProcesses } from './processes.ts';

const pollMs = 5;
/** What takes longer than this to die is scanned for again, milliseconds: it may have forked meanwhile. */
const dyingMs = 100;
/** Between two scans. */
const betweenScansMs = 10;
/** A process that the kernel cannot end within this time hangs in the kernel, or belongs to another user. */
const insistMs = 10_000;

/**
 * Ends every process for which `isOurs` holds, and every descendant of one: asks with SIGTERM, waits at most `graceMs`
 * for them to go, then sends SIGKILL until two scans in a row find none. Answers how many it ended.
 *
 * @param killGroup ends them by their control group too when it comes to SIGKILL. No fork outruns that, and what is in a group is found
 * in it also in the middle of `exec`: one scan after it is enough
 *
 * It takes no AbortSignal: a cell that is half ended is worse than a caller that waits, and the wait is bounded.
 *
 * @throws when processes are still there ten seconds after SIGKILL; the message has their numbers
 */
export async function endProcesses(
  isOurs: (process: ProcessEntry) => boolean,
  graceMs: number,
  killGroup?: () => Promise<void>,
): Promise<number> {
  const known = new Set<string>();
  const asked = await findSome(isOurs, known);
  for (const process of asked) send('SIGTERM', process);
  await untilGone(asked, graceMs);
  await killGroup?.();
  await insist(isOurs, known, killGroup);
  return known.size;
}

async function insist(
  isOurs: (process: ProcessEntry) => boolean,
  known: Set<string>,
  killGroup: (() => Promise<void>) | undefined,
): Promise<void> {
  const deadline = performance.now() + insistMs;
  const enough = killGroup === undefined ? 2 : 1;
  let emptyScans = 0;
  while (emptyScans < enough) {
    const found = await findOurs(isOurs, known, 'SIGKILL');
    emptyScans = found.length === 0 ? emptyScans + 1 : 0;
    if (found.length > 0 && performance.now() > deadline) {
      throw new Error(`processes do not end on SIGKILL: ${found.map((process) => process.pid).join(', ')}`);
    }
    for (const process of found) send('SIGKILL', process);
    if (found.length > 0) await killGroup?.();
    // A look at one process is cheap, and a scan is not.
    await untilGone(found, dyingMs);
    if (emptyScans > 0 && emptyScans < enough) await delay(betweenScansMs);
  }
}

/** A process in the middle of `exec` shows no environment for a moment: none is not believed at the first look. */
async function findSome(isOurs: (process: ProcessEntry) => boolean, known: Set<string>): Promise<ProcessEntry[]> {
  const found = await findOurs(isOurs, known);
  if (found.length > 0) return found;
  await delay(betweenScansMs);
  return await findOurs(isOurs, known);
}

/**
 * Adds what it finds to `known`: a process that was once ours stays ours, though its parent is gone and its environment was emptied.
 *
 * @param signal sent to the newest of those for which `isOurs` holds the moment they are met
 */
export async function findOurs(
  isOurs: (process: ProcessEntry) => boolean,
  known: Set<string>,
  signal?: NodeJS.Signals,
): Promise<ProcessEntry[]> {
  const met = new Map<string, ProcessEntry>();
  const strike = (struck: NodeJS.Signals) => (entry: ProcessEntry) => {
    if (entry.pid === process.pid || !isOurs(entry)) return;
    send(struck, entry);
    met.set(keyOf(entry), entry);
  };
  const entries = await (signal === undefined ? scanProcesses() : pursueProcesses(strike(signal)));
  const ours = withDescendants(entries, (entry) => isOurs(entry) || known.has(keyOf(entry)) || undefined);
  const found = [...ours.keys()].filter((entry) => entry.pid !== process.pid);
  for (const entry of found) met.set(keyOf(entry), entry);
  for (const key of met.keys()) known.add(key);
  return [...met.values()];
}

/** Sends a signal; looks again at who has the number, immediately before the signal. */
export function send(signal: NodeJS.Signals, target: ProcessIdentity): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch {
    // Gone in between, or not permitted: the scans that follow tell which.
  }
}

async function untilGone(processes: readonly ProcessIdentity[], graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs;
  let left = processes.filter(isAlive);
  while (left.length > 0 && performance.now() < deadline) {
    await delay(pollMs);
    left = left.filter(isAlive);
  }
}

const keyOf = (process: ProcessIdentity): string => `${process.pid}:${process.startTime}`;
