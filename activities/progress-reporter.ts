import type { Context } from '@temporalio/activity';
import type { TokenUsage } from '../src/domain/outcome.ts';
import { createWaits } from './told-waits.ts';

/** What the workflow is told of an agent. */
export interface Told {
  tokens: TokenUsage;
  /** Milliseconds since the epoch; null when nothing was heard of it yet. */
  lastActivity: number | null;
  /** What keeps it from its work, in a sentence. */
  waitingFor: string | null;
}

/** When the first report is sent, milliseconds after the start. */
const first = 5_000;
/** Each later one waits this much longer, for every report is history: about seven in a cell of an hour. */
const factor = 3;

/** Tells the workflow now and then how many tokens were used and what the agent waits for, so that a query of its state is not far behind. */
export function createProgressReporter(context: Context, cellId: string): (now: Told) => void {
  const { workflowExecution } = context.info;
  const startedAt = Date.now();
  let wait = first;
  let told = 0;
  const waits = createWaits();
  return ({ tokens, lastActivity, waitingFor }) => {
    const now = Date.now();
    const isDue = now - startedAt >= wait && tokens.total !== told;
    const waitChanged = waits.changed(waitingFor, now);
    if (!workflowExecution || !(isDue || waitChanged)) return;
    if (isDue) wait *= factor;
    told = tokens.total;
    const { workflowId, runId } = workflowExecution;
    // The heartbeat carries the same figures, and the result the last ones: a lost report is no loss.
    void context.client.workflow
      .getHandle(workflowId, runId)
      .signal('cellProgress', { cellId, tokens, lastActivity, waitingFor: waits.told() })
      .catch((error: unknown) => context.log.debug('progress was not reported', { error: String(error) }));
  };
}
