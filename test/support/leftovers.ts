import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import waitFor, { TimeoutError } from 'p-wait-for';
import { cellMarker } from '../../src/domain/names.ts';
import { groupsIn, isEmptyGroup } from '../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../src/runtimes/cgroup-root.ts';
import { limitDirectories } from '../../src/runtimes/limit-groups.ts';
import { findLimitRoot } from '../../src/runtimes/limit-root.ts';
import { listeners, socketsOf } from './listeners.ts';
import { runningProcesses } from './processes.ts';
import { directoryPrefix, runMarker, testRun } from './run.ts';

/** What tests may leave behind on a machine, each as a line that says what it is. */
export type Traces = ReadonlyMap<string, string>;

/** Every trace there is now, except those of another test run on the same machine. */
export async function traces(): Promise<Traces> {
  const found = await Promise.all([tracesOfProcesses(), tracesOfPorts(), tracesOfDirectories(), tracesOfGroups()]);
  return new Map(found.flat());
}

/** Waits for what is just ending, and answers what is still there after five seconds and was not there before. */
export function leftovers(before: Traces): Promise<string[]> {
  return whatIsLeft(async () => [...(await traces())].flatMap(([id, line]) => (before.has(id) ? [] : [line])));
}

/** The same of what is this run's for certain: where others use agent-cells on the machine meanwhile. */
export function leftoversOfRun(): Promise<string[]> {
  return whatIsLeft(async () => {
    const ours = (entry: string) => runOf(entry) === testRun() || entry === `${runMarker}=${testRun()}`;
    const processes = (await runningProcesses()).filter(
      ({ pid, parent, environment }) => ![pid, parent].includes(process.pid) && environment.some(ours),
    );
    const lines = processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`);
    return [...lines, ...(await tracesOfDirectories()).map(([, line]) => line)];
  });
}

async function whatIsLeft(look: () => Promise<string[]>): Promise<string[]> {
  let left: string[] = [];
  const nothingLeft = async () => {
    left = await look();
    return left.length === 0;
  };
  try {
    await waitFor(nothingLeft, { interval: 200, timeout: 5_000 });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
  return left;
}

type Trace = [id: string, line: string];

/** A cell's process by its marker; whatever else this run started by the run's. */
async function tracesOfProcesses(): Promise<Trace[]> {
  const processes = await runningProcesses();
  return processes.flatMap(({ pid, parent, command, environment }): Trace[] => {
    // The processes of the test runner itself are children of this one and end after it has looked.
    if (pid === process.pid || parent === process.pid || isOfAnotherRun(environment)) return [];
    const isOurs = environment.some(
      (entry) => entry === `${runMarker}=${testRun()}` || entry.startsWith(`${cellMarker}=`),
    );
    return isOurs ? [[`process ${pid}`, `process ${pid}: ${command.slice(0, 200)}`]] : [];
  });
}

/** Listeners in the range that cells take their ports from. */
async function tracesOfPorts(): Promise<Trace[]> {
  const ofCells = (await listeners()).filter(({ port }) => port >= 9000 && port <= 9999);
  if (ofCells.length === 0) return [];
  const others = await socketsOfOtherRuns();
  return ofCells
    .filter(({ inode }) => !others.has(inode))
    .map(({ port, inode }) => [`port ${port} ${inode}`, `listener on port ${port}`]);
}

async function tracesOfDirectories(): Promise<Trace[]> {
  const names = await readdir(tmpdir());
  const named = names.filter((name) => name.startsWith(directoryPrefix) && (runOf(name) ?? testRun()) === testRun());
  return named.map((name) => [`directory ${name}`, `directory ${tmpdir()}/${name}`]);
}

/** Control groups with nothing in them, those that limit cells among them: those of another run have processes. */
async function tracesOfGroups(): Promise<Trace[]> {
  const groups = await findGroupRoot();
  const { root: limits } = await findLimitRoot(groups);
  const roots = [groups.root ?? [], limitDirectories(limits)].flat();
  const found = await Promise.all(roots.map(emptyGroupsIn));
  return found.flat().map((path) => [`group ${path}`, `control group ${path}`]);
}

async function emptyGroupsIn(root: string): Promise<string[]> {
  const names = (await groupsIn(root)).filter((name) => /^agent-cells-[0-9a-f]{32}$/.test(name));
  const paths = names.map((name) => join(root, name));
  const empty = await Promise.all(paths.map(isEmptyTree));
  return paths.filter((_, index) => empty[index]);
}

async function isEmptyTree(directory: string): Promise<boolean> {
  if (!(await isEmptyGroup(directory))) return false;
  const below = await Promise.all((await groupsIn(directory)).map((name) => isEmptyTree(join(directory, name))));
  return below.every(Boolean);
}

/** Its environment names another run, or a path in that run's temporary directories. */
function isOfAnotherRun(environment: readonly string[]): boolean {
  const runs = environment.flatMap((entry) => {
    const run = entry.startsWith(`${runMarker}=`) ? entry.slice(runMarker.length + 1) : runOf(entry);
    return run === undefined ? [] : [run];
  });
  return runs.length > 0 && !runs.includes(testRun());
}

const runOf = (text: string): string | undefined => new RegExp(`${directoryPrefix}([0-9a-f]{8})-`).exec(text)?.[1];

async function socketsOfOtherRuns(): Promise<Set<string>> {
  const others = (await runningProcesses()).filter(({ environment }) => isOfAnotherRun(environment));
  const sockets = await Promise.all(others.map(({ pid }) => socketsOf(pid)));
  return new Set(sockets.flatMap((ofOne) => [...ofOne]));
}
