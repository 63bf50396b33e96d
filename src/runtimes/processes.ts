import { readFileSync, readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { cellMarker, execMarker, ownerMarker } from '../domain/names.ts';
import { commandPart, placesIn } from './cgroup.ts';

/** What tells a process from all others since boot: numbers are used again within seconds, a number with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: string;
}

/** A living process, as one look at /proc found it. */
export interface ProcessEntry extends ProcessIdentity {
  readonly parent: number;
  /** By its environment, and by its control group: what sheds the one still has the other. Empty for strangers, and where it may not be asked. */
  readonly marks: readonly Mark[];
}

/** Says to which cell a process belongs. */
export interface Mark {
  readonly owner: string;
  readonly cellId: string;
  /** The part of the cell, see `CellGroups`; null where that is not known. */
  readonly part: string | null;
}

/** Long enough to be quick, short enough that other work of the worker goes on in between. */
const entriesPerTurn = 64;

/** So many of the newest processes are looked at again and again in a pursuit: more than start within one turn, and quick to read. */
const newestLooked = 32;

/** Every living process of this machine that can be seen from here. Zombies are not living. */
export async function scanProcesses(): Promise<ProcessEntry[]> {
  return await scan(() => undefined);
}

/**
 * The same, for whom each process found is to get a signal at once: by the end of a scan one that only starts its successor is gone,
 * and so is the successor. The newest are met more than once on the way, since that is where a successor is.
 *
 * @param meet hears of each the moment it was looked at
 */
export async function pursueProcesses(meet: (process: ProcessEntry) => void): Promise<ProcessEntry[]> {
  return await scan(() => {
    for (const pid of newestProcesses()) {
      const entry = readEntry(pid);
      if (entry !== null) meet(entry);
    }
  });
}

async function scan(beforeTurn: () => void): Promise<ProcessEntry[]> {
  const entries: ProcessEntry[] = [];
  let looked = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if (looked % entriesPerTurn === 0) {
      if (looked > 0) await nextTurn();
      beforeTurn();
    }
    const entry = readEntry(Number(name));
    if (entry !== null) entries.push(entry);
    looked += 1;
  }
  return entries;
}

/** The number that was given out last, and those before it. */
function newestProcesses(): number[] {
  const last = Number(readUnlessGone('/proc/loadavg')?.trim().split(' ').at(-1));
  return Array.from({ length: newestLooked }, (_, index) => last - index).filter((pid) => pid > 0);
}

/** The living process of this number, or null. */
export function identityOf(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  return stat === null || stat.dead ? null : { pid, startTime: stat.startTime };
}

/** When the process of this number started, living or zombie; null when there is none. */
export function startTimeOf(pid: number): string | null {
  return readStat(pid)?.startTime ?? null;
}

/** Whether a process belongs to an owner, to one cell of it, to one command in that cell. */
export function belongsTo(process: ProcessEntry, owner: string, cellId?: string, part?: string): boolean {
  return process.marks.some(
    (mark) =>
      mark.owner === owner &&
      (cellId === undefined || mark.cellId === cellId) &&
      (part === undefined || mark.part === part),
  );
}

export function isSame(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return one.pid === other.pid && one.startTime === other.startTime;
}

/** Whether that very process, and not a later one of the same number, is living. */
export function isAlive(process: ProcessIdentity): boolean {
  return identityOf(process.pid)?.startTime === process.startTime;
}

/** Whether that very process was stopped by a signal, or is not there any more. */
export function isAtRest(process: ProcessIdentity): boolean {
  const stat = readStat(process.pid);
  return stat === null || stat.startTime !== process.startTime || stat.dead || stat.stopped;
}

/** Whether that very process waits in the kernel for what no signal but SIGKILL ends, as one does that called `vfork` until its child is another program. */
export function waitsInKernel(process: ProcessIdentity): boolean {
  const stat = readStat(process.pid);
  return stat !== null && stat.startTime === process.startTime && stat.waitsInKernel;
}

/** Identifies this boot of the machine: no process of another boot can be living. */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function readEntry(pid: number): ProcessEntry | null {
  // The start time is read before the marks. The other way round, the marks of a process that just ended could be
  // put down to a stranger that got its number; this way the stranger's start time never matches.
  const stat = readStat(pid);
  if (stat === null || stat.dead || stat.ofKernel) return null;
  const marks = [
    ...marksIn(readEnvironment(pid, stat.leaderEnded)),
    ...placesIn(readUnlessGone(`/proc/${pid}/cgroup`) ?? ''),
  ];
  return { pid, parent: stat.parent, startTime: stat.startTime, marks };
}

function marksIn(environment: string): Mark[] {
  const [owner, cellId] = [valueOf(environment, ownerMarker), valueOf(environment, cellMarker)];
  if (owner === null || cellId === null) return [];
  const execId = valueOf(environment, execMarker);
  return [{ owner, cellId, part: execId === null ? null : commandPart(execId) }];
}

interface Stat {
  parent: number;
  startTime: string;
  dead: boolean;
  /** By a signal, or by who traces it. */
  stopped: boolean;
  waitsInKernel: boolean;
  /**
   * The first thread ended and others run on: the process is listed as a zombie, and is not one. A thread that is exiting runs no
   * program any more, though giving back the memory of the process may take it a while.
   */
  leaderEnded: boolean;
  /** A thread of the kernel, which is nobody's; about half of what /proc lists on a machine. */
  ofKernel: boolean;
}

/** The kernel's `PF_KTHREAD` and `PF_EXITING`. */
const kernelThread = 0x00200000;
const exitingThread = 0x00000004;

function readStat(pid: number): Stat | null {
  const text = readUnlessGone(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = fieldsOf(text);
  const [state, parent, flags, threads, startTime] = [fields[0], fields[1], fields[6], fields[17], fields[19]];
  if (state === undefined || startTime === undefined) return null;
  const ended = state === 'Z' || state === 'X';
  const leaderEnded = ended && Number(threads) > 1 && threadsOf(pid).some((thread) => runsOn(pid, thread));
  const ofKernel = (Number(flags) & kernelThread) !== 0;
  return {
    parent: Number(parent),
    startTime,
    dead: ended && !leaderEnded,
    stopped: /^t$/i.test(state),
    waitsInKernel: state === 'D',
    leaderEnded,
    ofKernel,
  };
}

/** From the third on: the second is the name in parentheses, and may itself contain spaces and parentheses. */
const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

function runsOn(pid: number, thread: string): boolean {
  const text = readUnlessGone(`/proc/${pid}/task/${thread}/stat`);
  return text !== null && (Number(fieldsOf(text)[6]) & exitingThread) === 0;
}

function readEnvironment(pid: number, leaderEnded: boolean): string {
  if (!leaderEnded) return readUnlessGone(`/proc/${pid}/environ`) ?? '';
  const texts = threadsOf(pid).map((thread) => readUnlessGone(`/proc/${pid}/task/${thread}/environ`) ?? '');
  return texts.find((text) => text !== '') ?? '';
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function valueOf(environment: string, name: string): string | null {
  const entry = environment.split('\0').find((line) => line.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}

/** Null as well for what this user may not read: such a process cannot be shown to be ours, so it is not. */
function readUnlessGone(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
