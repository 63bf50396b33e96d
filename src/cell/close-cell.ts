import type { RevertReport } from '../../activities/contract.ts';
import { hostCloses } from '../domain/names.ts';
import type { CellHost } from './host.ts';
import { NoLease } from './leases.ts';
import { CellGone } from './open-cell.ts';
import { revertCell } from './revert-cell.ts';
import { teardownCell } from './teardown.ts';

/** The host ends its cells: the reason of `CellHost.closing`. */
export class HostCloses extends Error {
  override readonly name = hostCloses;
}

/**
 * Ends a cell whose run is to go on elsewhere: its work is kept under `refs/cells/reverted/<cellId>`, then all that it owns is released.
 * Work that cannot be kept does not keep the cell. Answers what was kept, null when nothing was. Idempotent.
 */
export async function closeCell(host: CellHost, cellId: string): Promise<RevertReport | null> {
  await host.leases.update(cellId, { state: 'terminating' }).catch((error: unknown) => {
    if (!(error instanceof NoLease)) throw error;
  });
  const kept = await revertCell(host, { cellId, reason: `host ${host.hostId} ended its cells` }).catch(
    (error: unknown) => {
      if (!(error instanceof CellGone)) host.log.warn({ cellId, error }, 'the work of the cell could not be kept');
      return null;
    },
  );
  await teardownCell(host, cellId, `host ${host.hostId} ended its cells`);
  host.log.info({ cellId, revertedRef: kept?.revertedRef ?? null }, 'ended the cell, which is made anew elsewhere');
  return kept;
}
