import type { Client } from '@temporalio/client';
import type { CellResult } from '../domain/outcome.ts';
import { type ClaimQueue, describeClaimQueue } from './claim-queue.ts';
import { CellFailure } from './failure.ts';
import { askTemporal } from '../temporal/faults.ts';
import { listed, type ListedCell } from './list.ts';
import { pendingSteps, waitsForHost, type PendingStep } from './pending.ts';
import { openCell, type CellHandle } from './start.ts';
import { cellState, type WatchedCell } from './watch.ts';

/** How a cell ended. */
export type CellOutcome = { kind: 'verdict'; result: CellResult } | { kind: 'failure'; failure: CellFailure };

/** All that can be known of one run of a cell from anywhere. */
export interface DescribedCell {
  listing: ListedCell;
  state: WatchedCell;
  /** The steps that the workflow waits for. */
  pending: PendingStep[];
  /** The queue for hosts, while the cell waits in it. */
  queue: ClaimQueue | null;
  labels: Record<string, string>;
  /** Null while the cell runs. */
  outcome: CellOutcome | null;
}

/**
 * Describes a cell; without a run id, its latest run.
 *
 * @throws UserError `CellNotFound`; `TemporalUnreachable`.
 */
export async function describeCell(client: Client, workflowId: string, runId?: string): Promise<DescribedCell> {
  const description = await askTemporal(workflowId, () => client.workflow.getHandle(workflowId, runId).describe());
  const listing = listed(description);
  return {
    listing,
    state: await cellState(client, workflowId, listing.runId),
    pending: pendingSteps(description),
    queue: waitsForHost(description) ? await askTemporal(null, () => describeClaimQueue(client)) : null,
    labels: labelsIn(description.memo),
    outcome: listing.status === 'running' ? null : await outcomeOf(await openCell(client, workflowId, listing.runId)),
  };
}

/** Waits for the end of a cell, whatever it is. Errors that say nothing of the cell, such as a lost connection, are thrown. */
export async function outcomeOf(handle: CellHandle, options: { signal?: AbortSignal } = {}): Promise<CellOutcome> {
  try {
    return { kind: 'verdict', result: await handle.result(options) };
  } catch (error) {
    if (!(error instanceof CellFailure)) throw error;
    return { kind: 'failure', failure: error };
  }
}

function labelsIn(memo: Record<string, unknown> | undefined): Record<string, string> {
  const labels = memo?.['labels'];
  if (typeof labels !== 'object' || labels === null) return {};
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
