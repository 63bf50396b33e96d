import type { Context } from '@temporalio/activity';
import type { TokenUsage } from '../src/domain/outcome.ts';

/** What the workflow is told of an agent. */
export interface Told {
  tokens: TokenUsage;
  /** Milliseconds since the epoch; null when nothing was heard of it yet. */
  lastActivity: number | null;
  /** What keeps it from its work, in a sentence. */
  waitingFor: string | null;
}

/** When the first report is sent, milliseconds after the start; and how long a wait lasts before it is told. */
const first = 5_000;
/** Each later one waits this much longer, for every report is history: about seven in a cell of an hour. */
const factor = 3;
/** A wait of which something else is to be said is told again after this time, milliseconds. */
const retell = 60_000;

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

/** Decides which waits are worth telling: those that last, when they begin and when they are over. */
function createWaits() {
  let since: number | null = null;
  let told: { what: string; at: number } | null = null;
  return {
    changed(what: string | null, now: number): boolean {
      if (what === null) {
        since = null;
        const was = told !== null;
        told = null;
        return was;
      }
      since ??= now;
      if (now - since < first) return false;
      if (told !== null && (told.what === what || now - told.at < retell)) return false;
      told = { what, at: now };
      return true;
    },
    told: (): string | null => told?.what ?? null,
  };
}
