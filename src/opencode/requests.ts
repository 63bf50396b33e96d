import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { within } from './server.ts';

const refusal =
  'Nobody is there to ask: this is not allowed in this cell. Go on without it, inside the working directory.';

/** Answers a permission request by policy. With a message the agent goes on; without one its turn would end in silence. */
export async function refusePermission(client: OpencodeClient, requestID: string, signal: AbortSignal): Promise<void> {
  await client.permission.reply({ requestID, reply: 'reject', message: refusal }, within(signal));
}

/** Answers a question of the agent by policy. */
export async function refuseQuestion(client: OpencodeClient, requestID: string, signal: AbortSignal): Promise<void> {
  await client.question.reject({ requestID }, within(signal));
}

/** The net under the event stream: refuses whatever still waits for an answer. */
export async function refusePending(client: OpencodeClient, signal: AbortSignal): Promise<void> {
  const [permissions, questions] = await Promise.all([
    client.permission.list(undefined, within(signal)),
    client.question.list(undefined, within(signal)),
  ]);
  await Promise.all([
    ...(permissions.data ?? []).map(({ id }) => refusePermission(client, id, signal)),
    ...(questions.data ?? []).map(({ id }) => refuseQuestion(client, id, signal)),
  ]);
}
