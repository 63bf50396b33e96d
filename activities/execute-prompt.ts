import { Context } from '@temporalio/activity';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { raiseBudget } from '../src/cell/budget.ts';
import type { CellHost } from '../src/cell/host.ts';
import { type OpenCell, clientOf, openCell, ranOutOfMemory, whatIsLost } from '../src/cell/open-cell.ts';
import { outgrown } from '../src/cell/outgrown.ts';
import { serverPlace } from '../src/cell/server-place.ts';
import { keepTranscript } from '../src/cell/transcript.ts';
import { DiskSpent, withinDisk } from '../src/cell/within-disk.ts';
import { noTokens } from '../src/domain/outcome.ts';
import type { CellAccount } from '../src/gateway/gateway.ts';
import { AnswerTooLarge } from '../src/opencode/bounded-answer.ts';
import { newMessageId } from '../src/opencode/ids.ts';
import { abortSession, dropInterruptedStep, findPrompt, openSession, sendPrompt } from '../src/opencode/session.ts';
import { type TurnProgress, type WatchedEnd, watchTurn } from '../src/opencode/turn.ts';
import { findTemplate } from '../src/templates/load.ts';
import { lastAccount, metered, settledAccount, unlessLost, usageIn, usageOf, writtenAccount } from './agent-usage.ts';
import type { AgentUsage, ExecuteInput, ExecuteProgress, ExecuteReport, HostActivities } from './contract.ts';
import { failure } from './failure.ts';
import { watchAccount } from './gateway-watch.ts';
import { interruptionOf } from './heartbeat.ts';
import { createProgressReporter } from './progress-reporter.ts';
import { stepFailure } from './step-failure.ts';
import { untilHostCloses } from './until-host-closes.ts';

/**
 * Gives the agent one prompt and stays with it until its turn has ended. The prompt is sent once even if this runs twice:
 * a later run finds the session and the message id in the lease, and watches on.
 */
export const createExecutePrompt =
  (host: CellHost): HostActivities['executePrompt'] =>
  (input: ExecuteInput): Promise<ExecuteReport> => {
    const beat: ExecuteProgress = { sessionId: null, tokens: noTokens, silentForMs: 0, doing: 'starting' };
    return untilHostCloses(
      host,
      input,
      async (signal) => {
        try {
          return await execute(host, input, beat, signal);
        } catch (error) {
          return stepFailure(error, 'AgentFailed');
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
  const agent = await findAgent(host, input, signal);
  beat.sessionId = agent.sessionId;
  const progress = followProgress(beat, input.cellId);
  const work = (until: AbortSignal) => takeTurn(host, agent, input, progress, until);
  let diskSpent = false;
  try {
    const end = await withinDisk(host, input.cellId, work, signal).catch(asEnd);
    diskSpent = end.kind === 'disk-spent';
    if (diskSpent) await stop(agent, AbortSignal.any([signal, AbortSignal.timeout(5_000)]));
    if (end.kind === 'agent-failed' || end.kind === 'agent-hangs' || end.kind === 'cell-lost')
      await stop(agent, signal);
    if (end.kind === 'cell-lost') throw await cellLost(host, agent, end.reason, progress.latest());
    const account = await settledAccount(host, input.cellId);
    const report = conclude(end, metered(usageOf(progress.latest()), account), account);
    const large = await outgrown(host, input.cellId);
    return large === null ? report : { ...report, outgrown: large };
  } catch (error) {
    if (signal.aborted && interruptionOf(signal) === 'ended') await stop(agent, AbortSignal.timeout(5_000));
    throw error;
  } finally {
    if (!signal.aborted || interruptionOf(signal) === 'ended') await keepUsage(host, agent, progress.latest());
    // What its commands left running would go on writing until the next step.
    if (diskSpent && !signal.aborted) await endProcesses(host, agent);
  }
}

/** The session of a cell and the prompt of this round in it. */
interface Agent {
  cell: OpenCell;
  client: OpencodeClient;
  sessionId: string;
  messageId: string;
  /** Whether an earlier run of the step may have sent the prompt. */
  mayBeAtWork: boolean;
  /** Of this attempt. */
  generation: number;
}

async function findAgent(host: CellHost, input: ExecuteInput, signal: AbortSignal): Promise<Agent> {
  const { cellId } = input;
  const cell = await openCell(host, cellId);
  const client = await clientOf(host, cell);
  const { generation } = await host.leases.raiseGeneration(cellId);
  const sessionId = cell.lease.sessionId ?? (await openSession(client, `cell ${cellId}`, signal));
  const key = `round ${input.round}`;
  const messageId = await promptIdOf(host, cell, key, sessionId);
  return { cell, client, sessionId, messageId, mayBeAtWork: cell.lease.prompts[key] !== undefined, generation };
}

/** Chosen and kept before the prompt is sent, so that a prompt that is sent again is recognised. */
async function promptIdOf(host: CellHost, cell: OpenCell, key: string, sessionId: string): Promise<string> {
  const messageId = newMessageId();
  const lease = await host.leases.update(cell.lease.cellId, ({ prompts }) => ({
    sessionId,
    prompts: { [key]: messageId, ...prompts },
  }));
  return lease.prompts[key] ?? messageId;
}

/** What is known of the agent: for the heartbeat, for the workflow now and then, and for the end. */
interface Progress {
  take(progress: TurnProgress): void;
  /** The agent is not at work: its prompt waits for something. */
  wait(what: string): void;
  latest(): TurnProgress | null;
}

function followProgress(beat: ExecuteProgress, cellId: string): Progress {
  const report = createProgressReporter(Context.current(), cellId);
  let latest: TurnProgress | null = null;
  return {
    take(progress) {
      latest = progress;
      const { tokens, lastActivity, doing } = progress;
      Object.assign(beat, { tokens, doing, silentForMs: Date.now() - lastActivity });
      const waits = progress.waitsUntil !== null && progress.waitsUntil > Date.now();
      report({ tokens, lastActivity, waitingFor: waits ? doing : null });
    },
    wait(what) {
      Object.assign(beat, { doing: what, silentForMs: 0 });
      report({ tokens: beat.tokens, lastActivity: latest?.lastActivity ?? null, waitingFor: what });
    },
    latest: () => latest,
  };
}

/** An end after which the prompt is not sent again. */
type FinalEnd = Exclude<WatchedEnd, { kind: 'held-back' }> | { kind: 'disk-spent'; reason: string };

function asEnd(error: unknown): FinalEnd {
  if (error instanceof DiskSpent) return { kind: 'disk-spent', reason: error.message };
  if (error instanceof AnswerTooLarge) return { kind: 'agent-failed', reason: error.message };
  throw error;
}

async function takeTurn(
  host: CellHost,
  agent: Agent,
  input: ExecuteInput,
  progress: Progress,
  signal: AbortSignal,
): Promise<FinalEnd> {
  const { client, sessionId, messageId } = agent;
  const asker = { cellId: input.cellId, model: agent.cell.lease.model };
  const { providers } = host;
  let budget = await raiseBudget(host, input.cellId, input.tokenBudget);
  const gateway = watchAccount(host, input.cellId);
  const lookAfterCell = async (): Promise<string | null> => {
    const found = await host.leases.read(input.cellId);
    if (found.kind === 'lease') budget = found.lease.tokenBudget ?? budget;
    await gateway.ask();
    return found.kind === 'missing' ? `the lease of cell ${input.cellId} is gone` : whatIsLost(host, agent.cell);
  };
  const watch = {
    sessionId,
    messageId,
    // The gateway keeps a cell to its budget by itself, and what its server tells is not asked then.
    budget: () => (gateway.account() === null ? budget : Infinity),
    lost: lookAfterCell,
    silenceLimit: host.silenceLimitMs * (input.patience ?? 1),
    progress: (latest: TurnProgress) => progress.take(metered(latest, gateway.account())),
    provider: {
      failed: (reason: string, nextAt: number) => providers.failed(asker, reason, nextAt),
      answered: () => providers.answered(asker.model),
      holdsBack: () => providers.holdsBack(asker),
      coolsDown: () => gateway.account()?.waiting ?? null,
    },
  };
  let mayBeAtWork = agent.mayBeAtWork;
  try {
    for (;;) {
      if (mayBeAtWork) await dropInterruptedStep(client, sessionId, signal);
      const mayAsk = () => providers.pass(asker, (what) => progress.wait(what), signal);
      const olderMessageId = await ask(host, agent, input.text, mayAsk, signal);
      const end = await watchTurn(client, { ...watch, olderMessageId }, signal);
      if (end.kind === 'model-unavailable') providers.failed(asker, end.reason, null);
      if (end.kind !== 'held-back') return end;
      mayBeAtWork = true;
    }
  } finally {
    providers.left(asker);
  }
}

/** Sends the prompt unless the session has it, when the model may be asked. Answers the message that was the newest then. */
async function ask(
  host: CellHost,
  agent: Agent,
  text: string,
  mayAsk: () => Promise<void>,
  signal: AbortSignal,
): Promise<string | null> {
  const { client, sessionId, messageId } = agent;
  const { model, agentType } = agent.cell.lease;
  const system = findTemplate(host.templates, agentType).prompt;
  const { taken } = await findPrompt(client, { sessionId, messageId }, signal);
  if (taken) return null;
  await mayAsk();
  return await sendPrompt(client, { sessionId, messageId, model, text, system }, signal);
}

/** Ends the turn of the agent, where its server still obeys. */
async function stop({ client, sessionId }: Agent, signal: AbortSignal): Promise<void> {
  await abortSession(client, sessionId, signal).catch(() => undefined);
}

/** Ends all that runs of the cell, its server too. What cannot be ended here is ended when the work is kept. */
async function endProcesses(host: CellHost, { cell }: Agent): Promise<void> {
  const { cellId, runtime } = cell.lease;
  const { mark } = await serverPlace(host.stateDirectory, cellId);
  await host.runtimes[runtime].runtime
    .destroy(mark)
    .catch((error: unknown) => host.log.warn({ cellId, error }, 'the processes of the cell could not be ended'));
}

/** @param account what the gateway counted; null where the cell has no door */
function conclude(
  end: Exclude<FinalEnd, { kind: 'cell-lost' }>,
  usage: AgentUsage,
  account: CellAccount | null,
): ExecuteReport {
  switch (end.kind) {
    case 'finished':
      // The last request that was let in may have been one too many.
      if (account !== null && account.tokens.total > account.budget.total) return { kind: 'budget-spent', usage };
      return { kind: 'finished', usage };
    case 'budget-spent':
      return { kind: 'budget-spent', usage, ...(account?.refused === true ? { refusedAt: account.budget.total } : {}) };
    case 'agent-failed':
    case 'disk-spent':
      throw failure('AgentFailed', end.reason, { detail: usage });
    case 'agent-hangs':
      throw failure('AgentFailed', end.reason, { detail: { ...usage, hangs: true } });
    case 'model-unavailable':
      throw failure('ModelUnavailable', end.reason, { detail: usage });
  }
}

async function cellLost(host: CellHost, { cell }: Agent, reason: string, latest: TurnProgress | null): Promise<Error> {
  const usage = metered(usageOf(latest), await lastAccount(host, cell.lease.cellId));
  const outOfMemory = await ranOutOfMemory(host, cell.lease);
  return failure('CellLost', reason, { detail: { ...usage, ...(outOfMemory ? { outOfMemory } : {}) } });
}

/** Writes down what was used and said, for the steps that follow and for a person to read. */
async function keepUsage(host: CellHost, agent: Agent, latest: TurnProgress | null): Promise<void> {
  const { cellId } = agent.cell.lease;
  const messages = await keepTranscript(host, cellId, agent.client, agent.sessionId);
  const told = { ...usageOf(latest), ...(messages ? usageIn(messages) : {}) };
  const usage = metered(told, (await settledAccount(host, cellId)) ?? (await writtenAccount(host, cellId)));
  if (latest) await host.leases.update(cellId, { usage }, agent.generation).catch(unlessLost);
}
