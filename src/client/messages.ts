import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError, type Client } from '@temporalio/client';
import { abortSignal, extendUpdate, promptUpdate, type Extended, type ExtendInput } from '../../workflows/messages.ts';
import { UserError } from '../domain/user-error.ts';
import { askTemporal } from '../temporal/faults.ts';

/**
 * Cancels a cell: the agent is aborted, its work reverted, everything torn down, and the workflow ends as cancelled.
 * Cancelling again while it ends changes nothing.
 *
 * @returns false when the cell had ended already.
 * @throws UserError `CellNotFound` when there never was one.
 */
export async function cancelCell(
  client: Client,
  workflowId: string,
  options: { reason?: string } = {},
): Promise<boolean> {
  return await askTemporal(workflowId, async () => {
    const { status, runId } = await client.workflow.getHandle(workflowId).describe();
    if (status.name !== 'RUNNING' && status.name !== 'PAUSED') return false;
    // The handle's own `cancel` carries no reason; the history keeps this one.
    await client.workflowService.requestCancelWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId, runId },
      identity: client.options.identity,
      requestId: randomUUID(),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
    });
    return true;
  });
}

/**
 * Ends a cell now, with a result: its status is `reverted` and its reason the one given.
 *
 * @throws UserError `CellNotFound` when there is none, or it has ended.
 */
export async function abortCell(client: Client, workflowId: string, reason: string): Promise<void> {
  await askTemporal(workflowId, () => client.workflow.getHandle(workflowId).signal(abortSignal, { reason }));
}

/**
 * Gives a running cell more tokens, more time, or both.
 *
 * @throws UserError `InvalidInput` when the cell refuses, for it is terminating or neither is given; `CellNotFound`.
 */
export async function extendCell(client: Client, workflowId: string, more: ExtendInput): Promise<Extended> {
  return await update(workflowId, () =>
    client.workflow.getHandle(workflowId).executeUpdate(extendUpdate, { args: [more] }),
  );
}

/**
 * Gives the running agent one more instruction, and waits until the agent has taken it.
 *
 * @throws UserError `InvalidInput` when the cell refuses, for no agent is at work in it; `CellNotFound`.
 */
export async function promptCell(client: Client, workflowId: string, text: string): Promise<void> {
  await update(workflowId, () =>
    client.workflow.getHandle(workflowId).executeUpdate(promptUpdate, { args: [{ text }] }),
  );
}

async function update<T>(workflowId: string, request: () => Promise<T>): Promise<T> {
  try {
    return await askTemporal(workflowId, request);
  } catch (cause) {
    if (!(cause instanceof WorkflowUpdateFailedError)) throw cause;
    throw new UserError('InvalidInput', `${workflowId} refuses: ${cause.cause?.message ?? cause.message}`, {
      try: 'see where the cell stands with `cells show`',
      cause,
    });
  }
}
