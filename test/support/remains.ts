import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import waitFor from 'p-wait-for';
import { cellPaths, hostPaths } from '../../src/cell/paths.ts';
import { listPorts } from '../../src/cell/ports.ts';
import { cellMarker, ownerMarker } from '../../src/domain/names.ts';
import { listeners } from './listeners.ts';
import { processesMarked } from './processes.ts';

/** Where a cell lives. */
export interface CellPlace {
  stateDirectory: string;
  repository: { path: string };
}

/**
 * Everything that a cell still owns, each as a line: processes, ports, its directories, its entry in the repository.
 * Its artifacts are meant to stay.
 *
 * @param port the port that its server had, which nobody may listen on any more
 */
export async function remainsOf(
  { stateDirectory, repository }: CellPlace,
  cellId: string,
  port?: number,
): Promise<string[]> {
  const host = hostPaths(stateDirectory);
  const cell = cellPaths(stateDirectory, cellId);
  const processes = await processesMarked(cellMarker, cellId);
  const ports = (await listPorts(host.ports)).filter((lease) => lease.cellId === cellId);
  const listening = (await listeners()).filter((listener) => listener.port === port);
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...ports.map((lease) => `lease of port ${lease.port}`),
    ...listening.map((listener) => `listener on port ${listener.port}`),
    ...(await pathsNamed(cell.directory)),
    ...(await pathsNamed(cell.worktree)),
    ...(await pathsNamed(join(repository.path, '.git', 'worktrees', cellId))),
    ...(await trashOf(host.trash, cellId)).map((name) => `trash ${name}`),
  ];
}

/** What a teardown throws away is deleted after it: for that it has some seconds. */
async function trashOf(directory: string, cellId: string): Promise<string[]> {
  const left = async () => (await namesIn(directory)).filter((name) => name.startsWith(cellId));
  await waitFor(async () => (await left()).length === 0, { interval: 20, timeout: 10_000 }).catch(() => undefined);
  return await left();
}

/** Everything that a host still holds of any cell, each as a line: leases, ports, worktrees and their entries in the repositories, processes. */
export async function remainsOfHost(stateDirectory: string, ...repositories: string[]): Promise<string[]> {
  const owner = await readFile(join(stateDirectory, 'id'), 'utf8');
  const found = await Promise.all([
    ...['cells', 'ports', 'worktrees'].map((kind) => namesIn(join(stateDirectory, kind))),
    Promise.all(repositories.map((repository) => namesIn(join(repository, '.git', 'worktrees')))).then((names) =>
      names.flat(),
    ),
    processesMarked(ownerMarker, owner).then((processes) =>
      processes.map(({ pid, command }) => `${pid} ${command.slice(0, 80)}`),
    ),
  ]);
  const kinds = ['lease', 'port', 'worktree', 'entry of a worktree', 'process'];
  return found.flatMap((names, index) => names.map((name) => `${kinds[index]} ${name}`));
}

async function pathsNamed(path: string): Promise<string[]> {
  return (await namesIn(join(path, '..'))).includes(basename(path)) ? [path] : [];
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
