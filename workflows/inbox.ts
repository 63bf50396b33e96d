import {
  ApplicationFailure,
  CancellationScope,
  currentUpdateInfo,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { abortReasonOf, alertOf, parseExtend, parsePrompt, progressOf } from '../src/domain/message-inputs.ts';
import type { HostSteps } from './activity-proxies.ts';
import { type CellRecord, budgetOfCell, recordAlert, recordUsage, stateOf } from './cell-record.ts';
import {
  type ExtendInput,
  type Extended,
  type PromptInput,
  abortSignal,
  alertSignal,
  extendUpdate,
  progressSignal,
  promptUpdate,
  stateQuery,
} from './messages.ts';
import type { Stoppable } from './stop.ts';

/** What outsiders say to a running cell. */
export interface Inbox {
  /** From now on instructions go to the agent on this host; answers how many it has taken so far. */
  open(host: HostSteps): number;
  /** From now on instructions are refused: no agent is at work. */
  shut(): void;
  /** From now on everything but queries is refused: the cell is terminating. */
  close(): void;
  /** Instructions that are on their way to the agent. */
  pending(): number;
  /** Instructions that the agent has taken. */
  taken(): number;
  note(text: string): void;
}

/** Sets the handlers of all messages; called before the first wait of the workflow. */
export function openInbox(record: CellRecord, stoppable: Stoppable): Inbox {
  let agent: HostSteps | null = null;
  let closed = false;
  let pending = 0;
  let taken = 0;

  // A host that was not told finds the budget spent, and then hears of what holds by now: what was raised stays so, and is not refused.
  const tell = async (host: HostSteps, cellId: string) => {
    try {
      await host.extend({ cellId, tokenBudget: budgetOfCell(record) });
    } catch (error) {
      log.warn(`the host was not told of more tokens: ${error instanceof Error ? error.message : String(error)}`);
    }
  };

  const run = CancellationScope.current();
  // A step that was told to end takes a while to: what came meanwhile would be accepted, and be lost.
  const isEnding = () => closed || stoppable.reason !== null || run.consideredCancelled;

  const refuseWhenClosed = () => {
    if (isEnding() || record.lifecycle === 'terminating' || record.lifecycle === 'terminated')
      throw refused('the cell is terminating');
  };

  setHandler(stateQuery, () => stateOf(record), { description: 'Where the cell stands' });

  setHandler(abortSignal, (input: unknown) => stoppable.stop({ kind: 'abort', reason: abortReasonOf(input) }), {
    description: 'Ends the cell now: revert, tear down, and a result whose status is reverted',
  });

  setHandler(
    progressSignal,
    (input: unknown) => {
      // Anybody may send one: what is thrown here would be thrown again and again, and the workflow could not go on.
      const progress = progressOf(input);
      if (progress === null) return;
      const { cellId, tokens, lastActivity, waitingFor } = progress;
      // What an earlier cell of the run has used is counted already.
      if (cellId !== undefined && cellId !== record.claimed?.cellId) return;
      // One that was under way when the step ended is late.
      record.waitingFor = agent === null ? null : waitingFor;
      recordUsage(record, { tokens, lastActivity });
    },
    { description: 'From the host of the cell; not for outsiders' },
  );

  setHandler(
    alertSignal,
    (input: unknown) => {
      const alert = alertOf(input);
      if (alert !== null) recordAlert(record, alert);
    },
    { description: 'From the host of the cell; not for outsiders' },
  );

  setHandler(
    extendUpdate,
    async (input: ExtendInput): Promise<Extended> => {
      const { tokens, timeout } = parseExtend(input);
      if (timeout !== undefined) extendTime(record, stoppable, timeout);
      if (tokens !== undefined) {
        record.tokenBudget += tokens;
        if (agent && record.claimed) await tell(agent, record.claimed.cellId);
      }
      return { tokenBudget: record.tokenBudget, deadline: stoppable.deadline ?? Date.now() + record.request.timeout };
    },
    {
      description: 'Raises the token budget or the time of the cell',
      validator: (input: unknown) => {
        refuseWhenClosed();
        validate(() => parseExtend(input));
      },
    },
  );

  setHandler(
    promptUpdate,
    async (input: PromptInput): Promise<void> => {
      const { text } = parsePrompt(input);
      const updateId = currentUpdateInfo()?.id;
      if (agent === null || record.claimed === null || updateId === undefined)
        throw refused('no agent is at work just now');
      pending += 1;
      try {
        await agent.prompt({ cellId: record.claimed.cellId, updateId, text });
        taken += 1;
      } finally {
        pending -= 1;
      }
    },
    {
      description: 'One more instruction to the running agent',
      validator: (input: unknown) => {
        refuseWhenClosed();
        validate(() => parsePrompt(input));
        if (agent === null)
          throw refused(`no agent is at work just now: the cell is ${record.lifecycle} (${record.step})`);
        refuseWhenLong();
      },
    },
  );

  return {
    open(host) {
      agent = host;
      return taken;
    },
    shut: () => void (agent = null),
    close() {
      agent = null;
      closed = true;
    },
    pending: () => pending,
    taken: () => taken,
    note: (text) => log.warn(text),
  };
}

/**
 * Temporal ends a workflow, without a teardown, at 50 MB or 51,200 events of history. An instruction stands there twice; what is left is
 * for the rest of the cell's life. Only a validator may ask: it is not replayed.
 */
const longest = { bytes: 20_000_000, events: 20_000 };

function refuseWhenLong(): void {
  const { historySize, historyLength } = workflowInfo();
  if (historySize > longest.bytes || historyLength > longest.events)
    throw refused(
      `the history of the cell is too long for further instructions: ${historyLength} events, ${historySize} bytes`,
    );
}

function extendTime(record: CellRecord, stoppable: Stoppable, milliseconds: number): void {
  if (stoppable.deadline === null) record.request.timeout += milliseconds;
  else stoppable.deadline += milliseconds;
}

function validate(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    throw ApplicationFailure.nonRetryable(error instanceof Error ? error.message : String(error), 'InvalidCellRequest');
  }
}

const refused = (message: string) => ApplicationFailure.nonRetryable(message, 'MessageRefused');
