import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import type { AssistantMessage, Message, Part, SessionStatus } from '@opencode-ai/sdk/v2/types';
import { partIdOf } from './ids.ts';
import { describeError, within } from './server.ts';

/** One message with its parts, as the server keeps it. */
export interface SessionMessage {
  info: Message;
  parts: Part[];
}

/** The server answered a request with an error, or not at all. */
export class ServerRefused extends Error {
  override readonly name = 'ServerRefused';
}

const maximumSummaryBytes = 4096;

/** Finds the session of this title, or makes it: a second run finds what the first has made. */
export async function openSession(client: OpencodeClient, title: string, signal: AbortSignal): Promise<string> {
  const sessions = await client.session.list(undefined, within(signal));
  const known = sessions.data?.find((session) => session.title === title);
  if (known) return known.id;
  // With a title the server asks no model for one.
  const created = await client.session.create({ title }, within(signal, 30_000));
  if (!created.data) throw refused('would not make a session', created.error);
  return created.data.id;
}

/**
 * Hands a prompt to a session. The same message id is taken once: when it is at work or answered already, nothing is sent.
 * Answers the id of the message that was the newest when it was sent, for that is no answer to it; null when there was none, or
 * nothing was sent.
 */
export async function sendPrompt(
  client: OpencodeClient,
  prompt: { sessionId: string; messageId: string; model: string; text: string; system?: string | undefined },
  signal: AbortSignal,
): Promise<string | null> {
  const { taken, newest } = await findPrompt(client, prompt, signal);
  if (taken) return null;
  const slash = prompt.model.indexOf('/');
  const sent = await client.session.promptAsync(
    {
      sessionID: prompt.sessionId,
      messageID: prompt.messageId,
      agent: 'build',
      model: { providerID: prompt.model.slice(0, slash), modelID: prompt.model.slice(slash + 1) },
      parts: [{ type: 'text', id: partIdOf(prompt.messageId), text: prompt.text }],
      ...(prompt.system ? { system: prompt.system } : {}),
    },
    within(signal, 30_000),
  );
  if (sent.error !== undefined) throw refused('would not take the prompt', sent.error);
  return newest;
}

/**
 * Whether a prompt is at work or answered, and the newest message of its session. The server recognises a message id that is the newest of its session. One that others follow it would run again,
 * so a prompt goes out a second time only where the first was cut off: there is no answer, or one that is an error, or
 * one that asks for tools and was followed by nothing.
 */
export async function findPrompt(
  client: OpencodeClient,
  { sessionId, messageId }: { sessionId: string; messageId: string },
  signal: AbortSignal,
): Promise<{ taken: boolean; newest: string | null }> {
  const busy = await isBusy(client, sessionId, signal);
  const messages = await readMessages(client, sessionId, signal);
  const answer = answerTo(messageId, messages);
  const answered = answer?.finish !== undefined && answer.error === undefined && answer.finish !== 'tool-calls';
  const known = messages.some(({ info }) => info.id === messageId);
  return { taken: known && (busy || answered), newest: messages.at(-1)?.info.id ?? null };
}

/** The messages of a session, oldest first; the newest `limit` of them, or all. */
export async function readMessages(
  client: OpencodeClient,
  sessionId: string,
  signal: AbortSignal,
  limit?: number,
): Promise<SessionMessage[]> {
  const messages = await client.session.messages(
    { sessionID: sessionId, ...(limit ? { limit } : {}) },
    within(signal, 30_000),
  );
  if (!messages.data) throw refused('would not show the session', messages.error);
  return messages.data;
}

/**
 * Takes back a step that an idle session never ended, since its server died in the middle of it: its tool calls would count
 * as running for ever. One that was stopped between two requests is complete, and holds no answer. The model is asked for that
 * step once more.
 */
export async function dropInterruptedStep(
  client: OpencodeClient,
  sessionId: string,
  signal: AbortSignal,
): Promise<void> {
  // Asked before and after: a session that ends its step while it is looked at is idle only then, one that begins it only before.
  if (await isBusy(client, sessionId, signal)) return;
  const last = (await readMessages(client, sessionId, signal)).at(-1)?.info;
  if (last === undefined || last.role !== 'assistant' || last.error) return;
  if (last.time.completed !== undefined && last.finish !== undefined) return;
  if (await isBusy(client, sessionId, signal)) return;
  await client.session.deleteMessage({ sessionID: sessionId, messageID: last.id }, within(signal));
}

/** Whether the session is at work, or waits to ask its provider again. */
export async function isBusy(client: OpencodeClient, sessionId: string, signal: AbortSignal): Promise<boolean> {
  return (await statusOf(client, sessionId, signal)).type !== 'idle';
}

/** What the session does. One that is idle is absent from the server's list. */
export async function statusOf(client: OpencodeClient, sessionId: string, signal: AbortSignal): Promise<SessionStatus> {
  const status = await client.session.status(undefined, within(signal));
  if (!status.data) throw refused('would not say what its sessions do', status.error);
  return status.data[sessionId] ?? { type: 'idle' };
}

/** Ends the turn of a session. Idempotent. */
export async function abortSession(client: OpencodeClient, sessionId: string, signal: AbortSignal): Promise<void> {
  await client.session.abort({ sessionID: sessionId }, within(signal));
}

/**
 * The assistant message that answers the prompt, once the session has nothing more to say: the newest message,
 * complete, and newer than ours. Null while that is not so.
 */
export function answerTo(messageId: string, messages: readonly SessionMessage[]): AssistantMessage | null {
  const asked = messages.findIndex(({ info }) => info.id === messageId);
  const last = messages.at(-1)?.info;
  if (asked === -1 || last === undefined || last.role !== 'assistant') return null;
  return last.time.completed === undefined ? null : last;
}

/** The last thing that the agent said, at most 4 KiB. */
export function summaryOf(messages: readonly SessionMessage[]): string {
  for (const { info, parts } of messages.toReversed()) {
    if (info.role !== 'assistant') continue;
    const text = parts
      .flatMap((part) => (part.type === 'text' ? [part.text] : []))
      .join('\n')
      .trim();
    if (text !== '') return cut(text);
  }
  return '';
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= maximumSummaryBytes
    ? text
    : `${bytes
        .subarray(0, maximumSummaryBytes - 4)
        .toString()
        .replace(/\uFFFD$/, '')}…`;
}

function refused(what: string, cause: unknown): ServerRefused {
  return new ServerRefused(`the server ${what}: ${describeError(cause)}`, { cause });
}
