import type { Client } from '@temporalio/client';
import { outcomeOf } from '../client/describe.ts';
import { cancelCell } from '../client/messages.ts';
import { openCell } from '../client/start.ts';
import { UserError } from '../domain/user-error.ts';

/**
 * Cancels cells and waits until they are torn down, for a server or a worker that is about to go.
 * Those that have ended are passed over. What is still there after the time is left to the reaper.
 *
 * @returns the workflow ids of the cells that did not end in time
 */
export async function endCells(
  client: Client,
  workflowIds: readonly string[],
  reason: string,
  timeoutMs = 45_000,
): Promise<string[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  const left = await Promise.all(
    workflowIds.map(async (workflowId) => ((await end(client, workflowId, reason, signal)) ? [] : [workflowId])),
  );
  return left.flat();
}

async function end(client: Client, workflowId: string, reason: string, signal: AbortSignal): Promise<boolean> {
  try {
    if (await cancelCell(client, workflowId, { reason }))
      await outcomeOf(await openCell(client, workflowId), { signal });
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === 'CellNotFound') return true;
    if (signal.aborted) return false;
    throw error;
  }
}
