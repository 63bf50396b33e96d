import { createHash } from 'node:crypto';
import type { ChatMessage, ChatRequest } from './chat-request.ts';

/**
 * Why the model is called: for a turn of a script, or beside the session, for its title or for a summary of it
 * (which OpenCode does by itself, and which must not move a script on).
 */
export type CallKind = 'turn' | 'title' | 'summary';

/** What a request says of the conversation it belongs to. All of it is derived from the request: the same request, the same answer. */
export interface Conversation {
  kind: CallKind;
  /** The name in `[script: name]`, from the first message of the user; null when there is none. */
  marker: string | null;
  /** Counts the messages of the user, from 1. */
  round: number;
  /** Counts the answers since the last message of the user, from 1. */
  turn: number;
  /** The session, as the client names it by `x-session-id`; else a hash of what the conversation began with. */
  session: string;
  /** A hash of the whole conversation: equal for a request that was sent again. */
  fingerprint: string;
  /** The last message of the user. */
  prompt: string;
  worktree: string | null;
}

/** Reads a conversation. `sessionId` is the client's own name for it, where it gives one. */
export function readConversation(request: ChatRequest, sessionId: string | null): Conversation {
  const system = request.messages
    .filter(isSystem)
    .map(({ text }) => text)
    .join('\n');
  const messages = request.messages.filter((message) => !isSystem(message));
  const kind = kindOf(request, system);
  const lastOfUser = messages.findLastIndex(isUser);
  const worktree = worktreeOf(system);
  return {
    kind,
    marker: markerOf(kind === 'turn' ? beginningOf(messages) : messages),
    round: messages.filter(isUser).length,
    turn: answersIn(messages.slice(lastOfUser + 1)) + 1,
    session: sessionId ?? hash([worktree, messages.find(isUser)?.text]),
    fingerprint: hash(request.messages.map(({ role, text }) => [role, text])),
    prompt: messages[lastOfUser]?.text ?? '',
    worktree,
  };
}

const isSystem = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';
const isUser = ({ role }: ChatMessage): boolean => role === 'user';
const isAssistant = ({ role }: ChatMessage): boolean => role === 'assistant';

/**
 * How often the model has answered. Two messages of the model in a row are one answer: the first is what came of it before
 * the connection broke, which OpenCode may keep.
 */
function answersIn(messages: readonly ChatMessage[]): number {
  const before = (index: number) => messages[index - 1];
  return messages.filter((message, index) => isAssistant(message) && before(index)?.role !== 'assistant').length;
}

/** OpenCode's side calls have a system prompt of their own and no tools. */
function kindOf(request: ChatRequest, system: string): CallKind {
  if (request.hasTools) return 'turn';
  const role = system.slice(0, 200);
  if (/title generator/i.test(role)) return 'title';
  return /summari[sz]ation agent|summari[sz]e what was done/i.test(role) ? 'summary' : 'turn';
}

/**
 * The first message of the user and what answers it. A conversation that was compacted begins with a question of
 * OpenCode's and our summary, which repeats the marker; a later message of the user chooses nothing.
 */
function beginningOf(messages: ChatMessage[]): ChatMessage[] {
  const first = messages.findIndex(isUser);
  const second = messages.findIndex((message, index) => index > first && isUser(message));
  return messages
    .slice(0, second === -1 ? undefined : second)
    .filter((message) => isUser(message) || isAssistant(message));
}

function markerOf(messages: ChatMessage[]): string | null {
  for (const { text } of messages) {
    const name = /\[script:\s*([^\]\s]{1,64})\s*\]/.exec(text)?.[1];
    if (name !== undefined) return name;
  }
  return null;
}

/** OpenCode names it in an `<env>` block; instructions after it might contain such a line too, so the first one counts. */
function worktreeOf(system: string): string | null {
  const line = /^[ \t]*Working directory:[ \t]*(\/.*?)[ \t]*$/m;
  const block = /<env>[\s\S]*?<\/env>/.exec(system)?.[0] ?? system;
  return line.exec(block)?.[1] ?? null;
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
