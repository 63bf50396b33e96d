import type { CellHost } from './host.ts';
import type { OpenCell } from './open-cell.ts';
import { serverPlace } from './server-place.ts';

/**
 * Works on the files of a cell while nothing of the cell runs. An agent may have left something behind that goes on; the host has rights
 * that the agent does not have, and would read or write for it what a path leads to a moment after it was looked at.
 */
export async function whileAtRest<Result>(
  host: CellHost,
  { lease }: OpenCell,
  work: () => Promise<Result>,
): Promise<Result> {
  const { mark } = await serverPlace(host.stateDirectory, lease.cellId);
  await using _rest = await host.runtimes[lease.runtime].runtime.pause(mark);
  return await work();
}
