import type { Context } from '@temporalio/activity';
import type { TurnProgress } from '../src/opencode/turn.ts';

/** When the first report is sent, milliseconds after the start. */
const first = 5_000;
/** Each later one waits this much longer, for every report is history: about seven in a cell of an hour. */
const factor = 3;

/** Tells the workflow now and then how many tokens were used, so that a query of its state is not far behind. */
export function createProgressReporter(context: Context): (progress: TurnProgress) => void {
  const { workflowExecution } = context.info;
  const startedAt = Date.now();
  let wait = first;
  let told = 0;
  return ({ tokens, lastActivity }) => {
    if (!workflowExecution || Date.now() - startedAt < wait || tokens.total === told) return;
    wait *= factor;
    told = tokens.total;
    const { workflowId, runId } = workflowExecution;
    // The heartbeat carries the same figures, and the result the last ones: a lost report is no loss.
    void context.client.workflow
      .getHandle(workflowId, runId)
      .signal('cellProgress', { tokens, lastActivity })
      .catch((error: unknown) => context.log.debug('progress was not reported', { error: String(error) }));
  };
}
