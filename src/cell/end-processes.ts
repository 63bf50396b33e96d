import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { serverPlace } from './server-place.ts';

/** What this worker has begun to end ahead, by cell. */
const begun = new WeakMap<CellHost, Map<string, Promise<number>>>();

type Ended = Pick<Lease, 'cellId' | 'runtime'>;

/**
 * Begins to end every process of a cell whose work is done, and does not wait for it: a server takes some thirty milliseconds to go, and a
 * sandbox twice that, in which the work is committed and Temporal hands over the next step.
 */
export function endProcessesAhead(host: CellHost, cell: Ended): void {
  const ending = end(host, cell);
  // The teardown, for which it is kept, meets the error.
  ending.catch(() => undefined);
  const endings = begun.get(host) ?? new Map<string, Promise<number>>();
  begun.set(host, endings.set(cell.cellId, ending));
}

/** Ends every process of a cell. Idempotent. Answers how many that were, with those that were ended ahead. */
export async function endProcesses(host: CellHost, cell: Ended): Promise<number> {
  const ending = begun.get(host)?.get(cell.cellId);
  if (ending === undefined) return await end(host, cell);
  begun.get(host)?.delete(cell.cellId);
  return await ending.catch(() => end(host, cell));
}

async function end(host: CellHost, { cellId, runtime }: Ended): Promise<number> {
  const { mark } = await serverPlace(host.stateDirectory, cellId);
  return await host.runtimes[runtime].runtime.destroy(mark);
}
