import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { messageOf } from './failure.ts';

/** How often a long step may fail for a reason that has no name, before it is given up. */
const limit = 5;

/** Of the steps that this worker has tried and that have not ended. A new worker may well be free of the fault: it counts anew. */
const faults = new Map<string, number>();

/**
 * Gives a step up after a few faults of its own. Steps that last for hours have no limit of attempts, for each end of a worker
 * uses one up, and a host may be deployed to any number of times while its agents work.
 */
export async function untilFaulty<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  const { workflowExecution, activityId } = Context.current().info;
  const key = `${workflowExecution?.runId} ${activityId}`;
  try {
    const result = await work();
    faults.delete(key);
    return result;
  } catch (error) {
    const isFault = !signal.aborted && !(error instanceof ApplicationFailure);
    const count = isFault ? (faults.get(key) ?? 0) + 1 : 0;
    if (0 < count && count < limit) faults.set(key, count);
    else faults.delete(key);
    if (count < limit) throw error;
    throw ApplicationFailure.create({
      message: messageOf(error),
      nonRetryable: true,
      ...(error instanceof Error ? { cause: error } : {}),
    });
  }
}
