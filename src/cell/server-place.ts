import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from './create-file.ts';
import { type CellPaths, cellPaths, hostPaths, isCellId, warmPaths } from './paths.ts';

/** Where the server of a cell, and what it works on, keep what is their own. */
export interface ServerPlace extends Pick<
  CellPaths,
  'home' | 'worktree' | 'config' | 'modelSocket' | 'inlet' | 'agentGit' | 'dotGit'
> {
  /** What the runtime knows the processes and the port of the cell by: its id, or that of the warm server that it adopted. */
  mark: string;
  /** Where the server runs; null for the worktree. */
  runsIn: string | null;
}

/** Finds the place of a cell's server by the disk alone: a worker may have died right after the cell adopted one. */
export async function serverPlace(stateDirectory: string, cellId: string): Promise<ServerPlace> {
  const warm = await adoptedBy(stateDirectory, cellId);
  return warm === null
    ? { ...cellPaths(stateDirectory, cellId), mark: cellId, runsIn: null }
    : warmPlace(stateDirectory, warm);
}

/** The place of a server that was booted ahead, whether a cell has it or not. */
export function warmPlace(stateDirectory: string, id: string): ServerPlace {
  const paths = warmPaths(stateDirectory, id);
  return { ...paths, mark: id, runsIn: paths.idle };
}

/** The id of the warm server that a cell adopted; null when it has none. */
export async function adoptedBy(stateDirectory: string, cellId: string): Promise<string | null> {
  const names = await readdir(cellPaths(stateDirectory, cellId).directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    const id = adoptedName.exec(name)?.[1];
    if (id !== undefined) return id;
  }
  return null;
}

/** Whether a cell of this host has adopted a warm server. */
export async function isAdopted(stateDirectory: string, id: string): Promise<boolean> {
  const cellIds = await readdir(hostPaths(stateDirectory).cells).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  const marks = await marksOf(stateDirectory, cellIds.filter(isCellId));
  return marks.includes(id);
}

/** Where the record of a warm server lies once it is adopted: its name alone says which one it is. */
export function adoptedFile(stateDirectory: string, cellId: string, id: string): string {
  return join(cellPaths(stateDirectory, cellId).directory, `adopted-${id}.json`);
}

const adoptedName = /^adopted-([0-9a-f]{16})\.json$/;

/** By what the runtime knows each of these cells. */
export async function marksOf(stateDirectory: string, cellIds: readonly string[]): Promise<string[]> {
  return await Promise.all(cellIds.map(async (cellId) => (await adoptedBy(stateDirectory, cellId)) ?? cellId));
}
