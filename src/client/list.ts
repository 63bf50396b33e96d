import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { searchAttributes } from '../domain/search-attributes.ts';
import { UserError } from '../domain/user-error.ts';
import { askTemporal } from '../temporal/faults.ts';
import { workflowType } from './start.ts';

export const listStatuses = [
  'running',
  'committed',
  'reverted',
  'unchanged',
  'failed',
  'cancelled',
  'terminated',
] as const;

/** How a cell stands or ended, in a word. */
export type ListStatus = (typeof listStatuses)[number];

export interface ListFilter {
  status?: ListStatus;
  taskId?: string;
  /** The newest come first. Default 100. */
  limit?: number;
}

/** A cell as Temporal's visibility store knows it; what was never published is null. No worker is asked. */
export interface ListedCell {
  workflowId: string;
  runId: string;
  status: ListStatus;
  /** The name of the failure when the status is `failed`. */
  failure: string | null;
  taskId: string | null;
  agentId: string | null;
  agentType: string | null;
  lifecycle: string | null;
  step: string | null;
  host: string | null;
  repository: string | null;
  tokens: number | null;
  /** Milliseconds since the epoch. */
  startedAt: number;
  closedAt: number | null;
}

/**
 * Lists cells, the newest first.
 *
 * @throws UserError `TemporalRefused` when a filter needs a search attribute that is not registered.
 */
export async function listCells(client: Client, filter: ListFilter = {}): Promise<ListedCell[]> {
  const { limit = 100 } = filter;
  return await askTemporal(null, async () => {
    const cells: ListedCell[] = [];
    for await (const info of client.workflow.list({ query: queryOf(filter), pageSize: Math.min(limit, 1000) })) {
      cells.push(listed(info));
      if (cells.length >= limit) break;
    }
    return cells;
  });
}

/** A cell as the visibility store or a description shows it. */
export function listed(info: Omit<WorkflowExecutionInfo, 'raw'>): ListedCell {
  const { typedSearchAttributes: attributes } = info;
  const verdict = attributes.get(searchAttributes.status) ?? null;
  const status = statusOf(info.status.name, verdict);
  const [, taskId = null, agentId = null] = info.workflowId.startsWith('cell/') ? info.workflowId.split('/') : [];
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    status,
    failure: status === 'failed' ? verdict : null,
    taskId: attributes.get(searchAttributes.taskId) ?? taskId,
    agentId: attributes.get(searchAttributes.agentId) ?? agentId,
    agentType: attributes.get(searchAttributes.agentType) ?? null,
    lifecycle: attributes.get(searchAttributes.lifecycle) ?? null,
    step: attributes.get(searchAttributes.step) ?? null,
    host: attributes.get(searchAttributes.host) ?? null,
    repository: attributes.get(searchAttributes.repository) ?? null,
    tokens: attributes.get(searchAttributes.tokens) ?? null,
    startedAt: info.startTime.getTime(),
    closedAt: info.closeTime?.getTime() ?? null,
  };
}

function queryOf({ status, taskId }: ListFilter): string {
  const conditions = [`WorkflowType = '${workflowType}'`];
  if (taskId !== undefined) conditions.push(`${searchAttributes.taskId.name} = '${quotable(taskId)}'`);
  if (status !== undefined) conditions.push(conditionOf(status));
  return conditions.join(' AND ');
}

function conditionOf(status: ListStatus): string {
  switch (status) {
    case 'running':
      return "ExecutionStatus = 'Running'";
    case 'failed':
      return "ExecutionStatus IN ('Failed', 'TimedOut')";
    case 'cancelled':
      return "ExecutionStatus = 'Canceled'";
    case 'terminated':
      return "ExecutionStatus = 'Terminated'";
    case 'committed':
    case 'reverted':
    case 'unchanged':
      return `ExecutionStatus = 'Completed' AND ${searchAttributes.status.name} = '${status}'`;
  }
}

/** An id of a task has no quotes; whoever gives one means something else. */
function quotable(taskId: string): string {
  if (!/['"\\]/.test(taskId)) return taskId;
  throw new UserError('InvalidInput', `${taskId} is not the id of a task`, { try: 'use the task id of a request' });
}

function statusOf(name: WorkflowExecutionInfo['status']['name'], verdict: string | null): ListStatus {
  switch (name) {
    case 'COMPLETED':
      return verdict === 'reverted' || verdict === 'unchanged' ? verdict : 'committed';
    case 'FAILED':
    case 'TIMED_OUT':
      return 'failed';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    case 'RUNNING':
    case 'PAUSED':
    case 'CONTINUED_AS_NEW':
    case 'UNSPECIFIED':
    case 'UNKNOWN':
      return 'running';
  }
}
