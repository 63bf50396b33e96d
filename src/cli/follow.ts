import type { Client } from '@temporalio/client';
import { outcomeOf, type CellOutcome } from '../client/describe.ts';
import type { CellHandle } from '../client/start.ts';
import { watchCell } from '../client/watch.ts';
import { rowOf, type Progress, type ProgressRow } from './progress.ts';
import { reportIn, statusOf } from './table.ts';

export interface Followed {
  handle: CellHandle;
  /** How the cell is called in the progress. */
  name: string;
}

/**
 * Follows a cell to its end and shows it on the way. Interrupting stops the following, not the cell.
 *
 * @returns Null when the signal aborted before the end.
 */
export async function followCell(
  client: Client,
  { handle, name }: Followed,
  options: { progress: Progress; signal: AbortSignal; intervalMs?: number },
): Promise<CellOutcome | null> {
  const { progress, signal, intervalMs = 500 } = options;
  const startedAt = Date.now();
  let row: ProgressRow = { ...waiting, name, startedAt };
  for await (const cell of watchCell(client, handle.workflowId, { runId: handle.runId, signal, intervalMs })) {
    row = rowOf(name, startedAt, cell);
    // How it ended is shown once, with its outcome.
    if (cell.status === 'running' && cell.lifecycle !== 'terminated') progress.show(row);
  }
  if (signal.aborted) return null;
  const outcome = await outcomeOf(handle);
  progress.show(endedRow(row, outcome));
  return outcome;
}

const waiting = { lifecycle: 'created', step: 'queue', tokens: 0, tokenBudget: 0, endedAt: null, note: '' };

function endedRow(row: ProgressRow, outcome: CellOutcome): ProgressRow {
  const report = reportIn(outcome);
  const reason = report?.reason ?? (outcome.kind === 'failure' ? outcome.failure.message : '');
  return {
    ...row,
    lifecycle: 'terminated',
    tokens: report?.tokens.total ?? row.tokens,
    endedAt: Date.now(),
    note: `${statusOf(outcome)}: ${reason}`,
  };
}
