import { ApplicationFailure } from '@temporalio/common';
import { closeCell } from '../src/cell/close-cell.ts';
import type { CellHost } from '../src/cell/host.ts';
import { hostCloses } from '../src/domain/names.ts';
import { failure } from './failure.ts';
import { withHeartbeat } from './heartbeat.ts';

/**
 * Runs the work of an activity with heartbeats until it ends, or until its host ends its cells. Then what the agent made is kept
 * and the cell released, and only after that the workflow is told: when it begins anew nothing of the cell is left here.
 */
export function untilHostCloses<Result>(
  host: CellHost,
  { cellId }: { cellId: string },
  work: (signal: AbortSignal) => Promise<Result>,
  details?: () => unknown,
): Promise<Result> {
  const closing = host.closing.signal;
  return withHeartbeat(async (signal) => {
    try {
      closing.throwIfAborted();
      return await work(AbortSignal.any([signal, closing]));
    } catch (error) {
      if (!closing.aborted || signal.aborted) throw error;
      const kept = await closeCell(host, cellId);
      const where = kept?.revertedRef ? `; its work so far is kept as ${kept.revertedRef}` : '';
      throw failure('CellLost', `host ${host.hostId} ends its cells${where}`, {
        // With a type, which an error of another class would not keep on its way to the workflow.
        cause: ApplicationFailure.nonRetryable(`host ${host.hostId} shuts down`, hostCloses),
        ...(kept?.usage ? { detail: { ...kept.usage, revertedRef: kept.revertedRef } } : {}),
      });
    }
  }, details);
}
