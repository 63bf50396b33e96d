import { Context } from '@temporalio/activity';
import pWaitFor from 'p-wait-for';
import type { CellHost } from '../src/cell/host.ts';
import { clientOf, openCell } from '../src/cell/open-cell.ts';
import { newMessageId } from '../src/opencode/ids.ts';
import { readMessages, sendPrompt } from '../src/opencode/session.ts';
import type { HostActivities, PromptAgentInput } from './contract.ts';
import { findTemplate } from '../src/templates/load.ts';
import { failure } from './failure.ts';
import { stepFailure } from './step-failure.ts';

/** Gives the agent at work one more instruction, and answers when the session has it. The same update is delivered once. */
export const createPromptAgent =
  (host: CellHost): HostActivities['promptAgent'] =>
  (input: PromptAgentInput): Promise<void> =>
    deliver(host, input, Context.current().cancellationSignal).catch((error: unknown) =>
      stepFailure(error, 'AgentFailed'),
    );

async function deliver(
  host: CellHost,
  { cellId, updateId, text }: PromptAgentInput,
  signal: AbortSignal,
): Promise<void> {
  const cell = await openCell(host, cellId);
  const client = await clientOf(host, cell);
  const { sessionId, model, agentType } = cell.lease;
  if (sessionId === null) throw failure('AgentFailed', 'the agent has no session yet');
  const key = `update ${updateId}`;
  const lease = await host.leases.update(cellId, ({ prompts }) => ({
    prompts: { ...prompts, [key]: prompts[key] ?? newMessageId() },
  }));
  const messageId = lease.prompts[key] ?? newMessageId();
  // The server asks the model with what came with the newest prompt: without it the agent would forget what its type tells it.
  const system = findTemplate(host.templates, agentType).prompt;
  await sendPrompt(client, { sessionId, messageId, model, text, system }, signal);
  const taken = async () => (await readMessages(client, sessionId, signal)).some(({ info }) => info.id === messageId);
  await pWaitFor(taken, { interval: 200, signal });
}
