import { Context } from '@temporalio/activity';
import { NoLease } from '../src/cell/leases.ts';
import { type OpenCell, CellGone, clientOf, openCell, whatIsLost } from '../src/cell/open-cell.ts';
import type { CellHost } from '../src/cell/host.ts';
import { raiseBudget } from '../src/cell/budget.ts';
import { keepTranscript } from '../src/cell/transcript.ts';
import { noTokens } from '../src/domain/outcome.ts';
import { newMessageId } from '../src/opencode/ids.ts';
import {
  type SessionMessage,
  abortSession,
  dropInterruptedStep,
  openSession,
  sendPrompt,
  summaryOf,
} from '../src/opencode/session.ts';
import { type TurnProgress, type WatchedEnd, watchTurn } from '../src/opencode/turn.ts';
import { countUsage } from '../src/opencode/usage.ts';
import { findTemplate } from '../src/templates/load.ts';
import type { AgentUsage, ExecuteInput, ExecuteProgress, ExecuteReport, HostActivities } from './contract.ts';
import { failure } from './failure.ts';
import { interruptionOf, withHeartbeat } from './heartbeat.ts';
import { createProgressReporter } from './progress-reporter.ts';

/**
 * Gives the agent one prompt and stays with it until its turn has ended. The prompt is sent once even if this runs twice:
 * a later run finds the session and the message id in the lease, and watches on.
 */
export const createExecutePrompt =
  (host: CellHost): HostActivities['executePrompt'] =>
  (input: ExecuteInput): Promise<ExecuteReport> => {
    const beat: ExecuteProgress = { sessionId: null, tokens: noTokens, silentForMs: 0, doing: 'starting' };
    return withHeartbeat(
      async (signal) => {
        try {
          return await execute(host, input, beat, signal);
        } catch (error) {
          if (error instanceof CellGone) throw failure('CellLost', error.message, { cause: error });
          throw error;
        }
      },
      () => beat,
    );
  };

async function execute(
  host: CellHost,
  input: ExecuteInput,
  beat: ExecuteProgress,
  signal: AbortSignal,
): Promise<ExecuteReport> {
  const { cellId } = input;
  const cell = await openCell(host, cellId);
  const client = await clientOf(host, cell);
  const { generation } = await host.leases.raiseGeneration(cellId);
  const sessionId = cell.lease.sessionId ?? (await openSession(client, `cell ${cellId}`, signal));
  const messageId = await promptIdOf(host, cell, promptKey(input), sessionId);
  beat.sessionId = sessionId;
  const { model, agentType } = cell.lease;
  const system = findTemplate(host.templates, agentType).prompt;
  const report = createProgressReporter(Context.current());
  let budget = await raiseBudget(host, cellId, input.tokenBudget);
  let latest: TurnProgress | null = null;
  const lookAfterCell = async (): Promise<string | null> => {
    const found = await host.leases.read(cellId);
    if (found.kind === 'lease') budget = found.lease.tokenBudget ?? budget;
    return found.kind === 'missing' ? `the lease of cell ${cellId} is gone` : whatIsLost(host, cell);
  };
  try {
    if (cell.lease.prompts[promptKey(input)]) await dropInterruptedStep(client, sessionId, signal);
    await sendPrompt(client, { sessionId, messageId, model, text: input.text, system }, signal);
    const end = await watchTurn(
      client,
      {
        sessionId,
        messageId,
        budget: () => budget,
        lost: lookAfterCell,
        silenceLimit: host.silenceLimitMs,
        progress(progress) {
          latest = progress;
          Object.assign(beat, beatOf(progress));
          report(progress);
        },
      },
      signal,
    );
    if (end.kind === 'agent-failed' || end.kind === 'cell-lost')
      await abortSession(client, sessionId, signal).catch(() => undefined);
    return conclude(end, usageOf(latest));
  } catch (error) {
    if (signal.aborted && interruptionOf(signal) === 'cancelled') {
      await abortSession(client, sessionId, AbortSignal.timeout(5_000)).catch(() => undefined);
    }
    throw error;
  } finally {
    if (!signal.aborted || interruptionOf(signal) === 'cancelled') {
      const messages = await keepTranscript(host, cellId, client, sessionId);
      const usage = { ...usageOf(latest), ...(messages ? usageIn(messages) : {}) };
      if (latest) await host.leases.update(cellId, { usage }, generation).catch(unlessLost);
    }
  }
}

const promptKey = ({ round }: ExecuteInput): string => `round ${round}`;

/** Chosen and kept before the prompt is sent, so that a prompt that is sent again is recognised. */
async function promptIdOf(host: CellHost, cell: OpenCell, key: string, sessionId: string): Promise<string> {
  const messageId = newMessageId();
  const lease = await host.leases.update(cell.lease.cellId, ({ prompts }) => ({
    sessionId,
    prompts: { [key]: messageId, ...prompts },
  }));
  return lease.prompts[key] ?? messageId;
}

function conclude(end: WatchedEnd, usage: AgentUsage): ExecuteReport {
  switch (end.kind) {
    case 'finished':
      return { kind: 'finished', usage };
    case 'budget-spent':
      return { kind: 'budget-spent', usage };
    case 'agent-failed':
      throw failure('AgentFailed', end.reason, { usage });
    case 'model-unavailable':
      throw failure('ModelUnavailable', end.reason, { usage });
    case 'cell-lost':
      throw failure('CellLost', end.reason, { usage });
  }
}

/** What the server has written down: of a turn that was cut short, the last event may not have come through. */
function usageIn(messages: readonly SessionMessage[]): Pick<AgentUsage, 'tokens' | 'cost' | 'summary'> {
  const count = countUsage();
  for (const { info } of messages) count.add(info);
  return { tokens: count.tokens(), cost: count.cost(), summary: summaryOf(messages) };
}

/** The failure that is being thrown says what happened: a lease that is gone has no place for the usage. */
function unlessLost(error: unknown): void {
  if (!(error instanceof NoLease)) throw error;
}

function usageOf(progress: TurnProgress | null): AgentUsage {
  if (progress === null) return { tokens: noTokens, cost: null, summary: '', lastActivity: null };
  const { tokens, cost, summary, lastActivity } = progress;
  return { tokens, cost, summary, lastActivity };
}

function beatOf({ tokens, lastActivity, doing }: TurnProgress): Partial<ExecuteProgress> {
  return { tokens, doing, silentForMs: Date.now() - lastActivity };
}
