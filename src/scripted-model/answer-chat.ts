import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseChatRequest, type ChatRequest } from './chat-request.ts';
import { chooseTurn } from './choose-turn.ts';
import { readConversation, type Conversation } from './conversation.ts';
import type { Ledger, LedgerCall, LedgerEnding } from './ledger.ts';
import { play, sendJson } from './play.ts';
import { replyOf, textReply, type Reply } from './reply.ts';
import type { Scripts, Turn } from './script.ts';
import { errorBody } from './wire.ts';

/** What a request to `/v1/chat/completions` is answered from. */
export interface ChatDeps {
  scripts: Scripts;
  ledger: Ledger;
}

/** Answers one chat request and enters it in the ledger. Never rejects: a client that goes is an entry in the ledger. */
export async function answerChat(
  deps: ChatDeps,
  incoming: IncomingMessage,
  response: ServerResponse,
  body: string,
): Promise<void> {
  const parsed = parseChatRequest(body);
  if (!parsed.ok) return refuse(deps.ledger.enter(unreadable), response, parsed.message, null);
  const { request } = parsed;
  const conversation = readConversation(request, sessionIdOf(incoming));
  const part = castOf(deps, request, conversation);
  const close = deps.ledger.enter(part.call);
  if (part.kind === 'refused') return refuse(close, response, part.message, part.code);
  const gone = abortedWhenGone(response);
  const envelope = {
    id: `chatcmpl-${conversation.fingerprint}`,
    model: request.model,
    created: Math.floor(Date.now() / 1000),
  };
  const { turn, reply, call } = part;
  try {
    close(await play({ turn, reply, request, envelope, response, tryNumber: call.try ?? 1, signal: gone.signal }));
  } catch {
    // What fails while an answer is written is the connection.
    response.destroy();
    close({ status: response.headersSent ? response.statusCode : null, outcome: 'client-gone', usage: null });
  }
}

const unreadable: LedgerCall = {
  kind: null,
  script: null,
  marker: null,
  round: null,
  turn: null,
  try: null,
  session: null,
  fingerprint: null,
  prompt: null,
  model: null,
};

type Part =
  | { kind: 'played'; call: LedgerCall; turn: Turn; reply: Reply }
  | { kind: 'refused'; call: LedgerCall; message: string; code: string };

function castOf({ scripts, ledger }: ChatDeps, request: ChatRequest, conversation: Conversation): Part {
  const { kind, marker, session, fingerprint, prompt } = conversation;
  const beside = {
    ...unreadable,
    kind,
    marker,
    session,
    fingerprint,
    prompt: prompt.slice(0, 200),
    model: request.model,
  };
  if (kind !== 'turn') {
    return { kind: 'played', call: beside, turn: {}, reply: textReply(sideText(kind, marker), request) };
  }
  const { round, turn: number } = conversation;
  const choice = chooseTurn(scripts, conversation);
  const position = { script: choice.name, round, turn: number };
  const call = { ...beside, ...position, try: ledger.triesOf({ ...position, session }) + 1 };
  if (!choice.ok) return { kind: 'refused', call, message: choice.message, code: choice.code };
  const { worktree } = conversation;
  return {
    kind: 'played',
    call,
    turn: choice.turn,
    reply: replyOf(choice.turn, { worktree, round, turn: number }, request),
  };
}

/** A summary takes the place of what it sums up, so it has to carry the marker on. */
function sideText(kind: 'title' | 'summary', marker: string | null): string {
  if (kind === 'title') return `Scripted: ${marker ?? 'default'}`;
  return marker === null ? 'Nothing to sum up.' : `[script: ${marker}] is being played.`;
}

function refuse(
  close: (ending: LedgerEnding) => void,
  response: ServerResponse,
  message: string,
  code: string | null,
): void {
  sendJson(response, 400, errorBody(400, `scripted model: ${message}`, code));
  close({ status: 400, outcome: 'refused', usage: null });
}

/** OpenCode names its session in every request. */
function sessionIdOf(incoming: IncomingMessage): string | null {
  const header = incoming.headers['x-session-id'];
  return typeof header === 'string' && header !== '' ? header.slice(0, 200) : null;
}

function abortedWhenGone(response: ServerResponse): AbortController {
  const controller = new AbortController();
  if (response.closed) controller.abort();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller;
}
