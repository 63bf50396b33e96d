import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { claimGivenBack } from '../src/domain/names.ts';
import { messageOf } from './failure.ts';

/** How often a step may fail for a reason of its own, before it is given up. */
const limit = 5;

/** So many steps are remembered. What failed and is never tried again here, for its cell has ended or moved on, is forgotten in time. */
const remembered = 1000;

/** Of the steps that failed here, the latest last. A new worker may well be free of the fault: it counts anew. */
const faults = new Map<string, number>();

/**
 * Gives a step up after a few faults of its own. Steps have no limit of attempts, for each end of a worker uses one up, and a host
 * may be deployed to, and its worker may crash, any number of times while its cells live.
 */
export const untilFaulty =
  <Input, Output>(step: (input: Input) => Promise<Output>) =>
  async (input: Input): Promise<Output> => {
    const { cancellationSignal, info } = Context.current();
    if (info.workflowExecution === undefined) return await step(input);
    const key = `${info.workflowExecution.runId} ${info.activityId}`;
    try {
      const output = await step(input);
      faults.delete(key);
      return output;
    } catch (error) {
      const count = cancellationSignal.aborted || isGivenBack(error) ? 0 : (faults.get(key) ?? 0) + 1;
      faults.delete(key);
      if (0 < count && count < limit) faults.set(key, count);
      const [oldest] = faults.keys();
      if (oldest !== undefined && faults.size > remembered) faults.delete(oldest);
      throw count < limit ? error : asLast(error);
    }
  };

/** Of a host that has no room just now: it is well. */
const isGivenBack = (error: unknown): boolean => error instanceof ApplicationFailure && error.type === claimGivenBack;

/** The same failure, after which the step is not tried again. */
function asLast(error: unknown): ApplicationFailure {
  const { type, details, category } = error instanceof ApplicationFailure ? error : {};
  return ApplicationFailure.create({
    message: messageOf(error),
    nonRetryable: true,
    ...(type ? { type } : {}),
    ...(details ? { details } : {}),
    ...(category ? { category } : {}),
    ...(error instanceof Error ? { cause: error.cause instanceof Error ? error.cause : error } : {}),
  });
}
