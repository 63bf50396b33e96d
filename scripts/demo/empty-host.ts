import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import waitFor, { TimeoutError } from 'p-wait-for';
import { hostPaths } from '../../src/cell/paths.ts';
import { stateDirectoryId } from '../../src/cell/hostlock.ts';
import { createCellGroups } from '../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../src/runtimes/cgroup-root.ts';
import { belongsTo, identityOf, isAlive, type ProcessIdentity, scanProcesses } from '../../src/runtimes/processes.ts';
import type { Stage } from './stage.ts';

/** What is left of cells, by kind; each kind empty on a host that is clean. */
export interface HostRemains {
  processes: string[];
  ports: string[];
  worktrees: string[];
  leases: string[];
  directories: string[];
}

/** The reaper looks every minute; what it has to look after is gone within this time, milliseconds. */
const emptyWithin = 90_000;

/** What the cells of the demo have left on this host, once what is just being released is released. */
export async function remainsOfCells(stage: Stage, signal: AbortSignal): Promise<HostRemains> {
  let remains = await look(stage);
  const empty = async () => {
    remains = await look(stage);
    return Object.values(remains).every((list: string[]) => list.length === 0);
  };
  await waitFor(empty, { interval: 500, timeout: emptyWithin, signal }).catch((error: unknown) => {
    if (!(error instanceof TimeoutError) && !signal.aborted) throw error;
  });
  return remains;
}

async function look({ stateDirectory, repository, supervisor, cgroup }: Stage): Promise<HostRemains> {
  const host = hostPaths(stateDirectory);
  const owner = await stateDirectoryId(stateDirectory);
  const { root } = await findGroupRoot(cgroup);
  const processes = (await scanProcesses()).filter((process) => belongsTo(process, owner));
  // The supervisor holds the ports themselves; the files say which ones are taken.
  const holders = await supervisor.info().then(
    ({ cells }) => cells.map((cellId) => `of ${cellId}`),
    (error: unknown) => [`not known: ${String(error)}`],
  );
  return {
    processes: processes.map(({ pid }) => String(pid)),
    ports: [...(await namesIn(host.ports)), ...holders],
    worktrees: [...(await namesIn(host.worktrees)), ...(await namesIn(join(repository, '.git', 'worktrees')))],
    leases: await namesIn(host.cells),
    directories: [...(await namesIn(host.trash)), ...(root === null ? [] : await createCellGroups(root, owner).list())],
  };
}

/** What is left of the demo itself, once it has been taken down. */
export async function remainsOfStage({ directory, processes }: StageTraces): Promise<string[]> {
  const ended = () => !processes.some(isAlive);
  await waitFor(ended, { interval: 100, timeout: 10_000 }).catch(() => undefined);
  const kept = await access(directory).then(
    () => [directory],
    () => [],
  );
  return [...processes.filter(isAlive).map(({ pid }) => `process ${pid}`), ...kept];
}

/** By what a demo is found when it is over. */
export interface StageTraces {
  directory: string;
  processes: readonly ProcessIdentity[];
}

export async function tracesOfStage({ directory, worker, supervisor }: Stage): Promise<StageTraces> {
  const pids = [worker.pid(), (await supervisor.info()).pid];
  return { directory, processes: pids.map(identityOf).filter((identity) => identity !== null) };
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
