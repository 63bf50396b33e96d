import type { Client, WorkflowHandle } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { impossibleIn } from '../domain/impossible.ts';
import { workflowIdOf, workflowTaskQueue } from '../domain/names.ts';
import type { CellResult } from '../domain/outcome.ts';
import { parseCellRequest, type CellRequest } from '../domain/request.ts';
import { UserError } from '../domain/user-error.ts';
import { cellFailureOf } from './failure.ts';
import { askTemporal } from '../temporal/faults.ts';
import { countStart, tooLarge } from './start-limits.ts';

/** The workflow, as a client sees it. */
export type AgentCell = (request: CellRequest) => Promise<CellResult>;

export const workflowType = 'agentCell';

/** One run of one cell. It is data and two calls: it can be made again from the two ids at any time. */
export interface CellHandle {
  workflowId: string;
  runId: string;
  /**
   * Waits for the verdict.
   *
   * @throws CellFailure when the cell ended without one.
   */
  result(options?: { signal?: AbortSignal }): Promise<CellResult>;
}

/**
 * Starts a cell. The request is parsed before anything is sent.
 *
 * @throws UserError `InvalidCellRequest`, naming the field; `CellAlreadyRunning` when a cell of the same task and agent runs;
 *   `TooManyStarts` beyond 3,000 starts of this client within a minute; `TemporalUnreachable`.
 */
export async function startCell(client: Client, request: CellRequest): Promise<CellHandle> {
  const parsed = parseCellRequest(request);
  if (!parsed.ok) {
    throw new UserError('InvalidCellRequest', parsed.message, {
      try: 'correct the field; docs/contract.md lists them all',
    });
  }
  const impossible = impossibleIn(parsed.request);
  if (impossible !== null) {
    throw new UserError('InvalidCellRequest', `${impossible.field}: ${impossible.why}`, {
      try: 'correct the field; docs/contract.md says what it may hold',
    });
  }
  const large = tooLarge(request);
  if (large !== null) {
    throw new UserError('InvalidCellRequest', large, {
      try: 'put what is large into files of the repository, and name them in the prompt',
    });
  }
  countStart(client);
  const { priority, labels } = parsed.request;
  const workflowId = workflowIdOf(request);
  try {
    const handle = await askTemporal(null, () =>
      client.workflow.start<AgentCell>(workflowType, {
        workflowId,
        taskQueue: workflowTaskQueue,
        args: [request],
        workflowIdConflictPolicy: 'FAIL',
        staticSummary: summaryOf(request),
        memo: { labels },
        ...(priority === undefined ? {} : { priority: given(priority) }),
      }),
    );
    return handleOf(client, handle, handle.firstExecutionRunId);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new UserError(
      'CellAlreadyRunning',
      `a cell of task ${request.taskId} and agent ${request.agentId} is running already`,
      {
        try: `watch it with \`cells show ${request.taskId}/${request.agentId}\`, end it with \`cells cancel\`, or use another agent id`,
        cause: error,
      },
    );
  }
}

/**
 * The handle of a cell that was started elsewhere or earlier; without a run id, of its latest run.
 *
 * @throws UserError `CellNotFound`.
 */
export async function openCell(client: Client, workflowId: string, runId?: string): Promise<CellHandle> {
  const handle = client.workflow.getHandle<AgentCell>(workflowId, runId);
  const { runId: actual } = await askTemporal(workflowId, () => handle.describe());
  return handleOf(client, client.workflow.getHandle<AgentCell>(workflowId, actual), actual);
}

function handleOf(client: Client, handle: WorkflowHandle<AgentCell>, runId: string): CellHandle {
  const { workflowId } = handle;
  return {
    workflowId,
    runId,
    async result({ signal } = {}) {
      const wait = () => askTemporal(workflowId, () => handle.result());
      try {
        return await (signal === undefined ? wait() : client.withAbortSignal(signal, wait));
      } catch (error) {
        signal?.throwIfAborted();
        throw cellFailureOf(error) ?? error;
      }
    },
  };
}

/** Shown in the list of workflows: at most 400 bytes are kept there, and one line. */
function summaryOf({ taskId, agentId, prompt }: CellRequest): string {
  const [line = ''] = prompt.trim().split('\n');
  const short = line.length > 80 ? `${line.slice(0, 79)}…` : line;
  return `${taskId}/${agentId}: ${short.toWellFormed()}`;
}

type Priority = { priorityKey?: number; fairnessKey?: string; fairnessWeight?: number };

/** Leaves out what is undefined. */
function given(priority: { [Key in keyof Priority]?: Priority[Key] | undefined }): Priority {
  return Object.fromEntries(Object.entries(priority).filter(([, value]) => value !== undefined));
}
