import { setTimeout } from 'node:timers/promises';
import type { Client, WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { stateQuery } from '../../workflows/messages.ts';
import { lifecycles, steps } from '../domain/lifecycle.ts';
import { branchOf } from '../domain/names.ts';
import { noTests, noTokens, type CellState } from '../domain/outcome.ts';
import { searchAttributes } from '../domain/search-attributes.ts';
import { askTemporal, isUnreachable } from '../temporal/faults.ts';
import { listed, type ListStatus } from './list.ts';
import { liveProgress, waitingFor } from './pending.ts';

/** The state of a cell, with what only its host and the server know at this moment. */
export interface WatchedCell extends CellState {
  status: ListStatus;
  /** What the agent does, in a few words; null while no agent is at work. */
  doing: string | null;
  /** What the cell or its agent waits for; null when it waits for nothing but its own work. */
  waitingFor: string | null;
  /** False when no worker could be asked: then this is what was published, without a history. */
  complete: boolean;
}

export interface WatchOptions {
  /** Ends the watching, not the cell. */
  signal?: AbortSignal;
  /** Default: the latest run. */
  runId?: string;
  /** Milliseconds between two looks. Default 500. */
  intervalMs?: number;
}

/**
 * Follows a cell: yields its state now, then whenever it changes, and ends when the workflow has closed or the signal aborts.
 * A server that is away for less than a minute is waited for.
 *
 * @throws UserError `CellNotFound`; `TemporalUnreachable`.
 */
export async function* watchCell(
  client: Client,
  workflowId: string,
  options: WatchOptions = {},
): AsyncGenerator<WatchedCell, void> {
  const { signal, runId, intervalMs = 500 } = options;
  const look = createLook(client, client.workflow.getHandle(workflowId, runId));
  let last = '';
  while (!signal?.aborted) {
    const cell = await patiently(look, signal);
    if (cell === null) return;
    const text = JSON.stringify(cell);
    if (text !== last) yield cell;
    last = text;
    if (cell.status !== 'running') return;
    await setTimeout(intervalMs, undefined, signal === undefined ? {} : { signal }).catch(unlessAborted);
  }
}

/**
 * The state of a cell now.
 *
 * @throws UserError `CellNotFound`; `TemporalUnreachable`.
 */
export async function cellState(client: Client, workflowId: string, runId?: string): Promise<WatchedCell> {
  return await createLook(client, client.workflow.getHandle(workflowId, runId))();
}

/** How long a query may take: without a worker the server would let it wait for half a minute. */
const queryTimeoutMs = 4_000;
const patienceMs = 60_000;
/** Events of a workflow that no worker has taken yet: there is nobody to ask. */
const startEvents = 2;

/**
 * Looks at one cell. The workflow is asked only when its history has grown: between two of its events
 * nothing but the heartbeat can change, and that comes with the description.
 */
function createLook(client: Client, handle: WorkflowHandle): () => Promise<WatchedCell> {
  let known: { historyLength: number; state: CellState } | null = null;
  return async () => {
    const description = await askTemporal(handle.workflowId, () => handle.describe());
    if (description.historyLength > startEvents && known?.historyLength !== description.historyLength) {
      const state = await stateOf(client, handle);
      known = state === null ? null : { historyLength: description.historyLength, state };
    }
    return merged(known?.state ?? null, description);
  };
}

/** Null when no worker answers. */
async function stateOf(client: Client, handle: WorkflowHandle): Promise<CellState | null> {
  try {
    return await client.withDeadline(Date.now() + queryTimeoutMs, () => handle.query(stateQuery));
  } catch {
    // A worker that is away, or a workflow that has not begun: what was published is shown instead.
    return null;
  }
}

function merged(state: CellState | null, description: WorkflowExecutionDescription): WatchedCell {
  const live = liveProgress(description);
  const base = state ?? publishedState(description);
  const ahead = live !== null && live.tokens.total >= base.tokens.total;
  return {
    ...base,
    // A worker of an earlier version does not say.
    memoryAlert: base.memoryAlert ?? null,
    ...(ahead ? { tokens: live.tokens } : {}),
    lastActivity: live === null ? base.lastActivity : Math.max(base.lastActivity ?? 0, live.at - live.silentForMs),
    status: listed(description).status,
    doing: live?.doing ?? null,
    waitingFor: waitingFor(description) ?? base.waitingFor,
    complete: state !== null,
  };
}

/** What the search attributes tell. */
function publishedState(description: WorkflowExecutionDescription): CellState {
  const cell = listed(description);
  const total = description.typedSearchAttributes.get(searchAttributes.tokens) ?? 0;
  return {
    lifecycle: lifecycles.find((name) => name === cell.lifecycle) ?? 'created',
    step: steps.find((name) => name === cell.step) ?? 'queue',
    since: cell.startedAt,
    attempt: 1,
    cell: {
      cellId: null,
      host: cell.host,
      runtime: null,
      port: null,
      worktree: null,
      branch: branchOf({ taskId: cell.taskId ?? '', agentId: cell.agentId ?? '' }),
    },
    tokens: { ...noTokens, total },
    tokenBudget: 0,
    lastActivity: null,
    waitingFor: null,
    memoryAlert: null,
    tests: noTests,
    history: [],
  };
}

/** Null when the signal aborted while the server was away. */
async function patiently<T>(look: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | null> {
  const giveUpAt = Date.now() + patienceMs;
  while (!signal?.aborted) {
    try {
      return await look();
    } catch (error) {
      if (!isUnreachable(error) || Date.now() > giveUpAt) throw error;
      await setTimeout(1000, undefined, signal === undefined ? {} : { signal }).catch(unlessAborted);
    }
  }
  return null;
}

function unlessAborted(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
