import { setTimeout as sleep } from 'node:timers/promises';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import type { Event, SessionStatus } from '@opencode-ai/sdk/v2/types';
import type { TokenUsage } from '../domain/outcome.ts';
import { activityOf, coolingOf, isAnswer, waitOf } from './activity.ts';
import { AnswerTooLarge } from './bounded-answer.ts';
import { followEvents } from './events.ts';
import { refusePending, refusePermission, refuseQuestion } from './requests.ts';
import { type SessionMessage, abortSession, answerTo, readMessages, statusOf, summaryOf } from './session.ts';
import { countUsage } from './usage.ts';
import { type TurnEnd, judgeError, judgeMessage } from './verdict.ts';

/** What can be said of an agent at work. */
export interface TurnProgress {
  tokens: TokenUsage;
  cost: number | null;
  summary: string;
  /** Milliseconds since the epoch. */
  lastActivity: number;
  doing: string;
  /** Until when the provider has told the agent to wait, milliseconds since the epoch; null while it does not wait for that. */
  waitsUntil: number | null;
}

export interface TurnWatch {
  sessionId: string;
  /** The id of the prompt whose answer is waited for. */
  messageId: string;
  /** The message that was the newest when the prompt was sent: it answers something else. */
  olderMessageId: string | null;
  /** Tokens that the cell may use in all; asked again each time, for it may be raised meanwhile. */
  budget(): number;
  /** What the cell has lost, in a sentence; null while it has all that it needs. */
  lost(): Promise<string | null>;
  /** How long the agent may say nothing before it counts as hung, milliseconds. */
  silenceLimit: number;
  progress(progress: TurnProgress): void;
  provider: ProviderWatch;
}

/** What is told of the provider, for the agents of all cells that ask it. */
export interface ProviderWatch {
  /** A request has failed; `nextAt` is when it is sent again, milliseconds since the epoch. */
  failed(reason: string, nextAt: number): void;
  answered(): void;
  /** The cool-down for which the gateway holds a request of the agent, until when in milliseconds since the epoch; null when there is none. */
  coolsDown(): { model: string; until: number } | null;
  /** Whether this agent, which waits to ask again, should stop doing so. */
  holdsBack(): boolean;
}

/**
 * How a watched turn ended. An agent that hangs has a server that is well, and says nothing all the same; one that is held back
 * was stopped between two requests, and its prompt is to be sent again.
 */
export type WatchedEnd =
  | TurnEnd
  | { kind: 'held-back' }
  | { kind: 'cell-lost'; reason: string }
  | { kind: 'agent-hangs'; reason: string };

/** How often the watch looks, milliseconds. */
const interval = 500;
/** Every so many looks the server is asked whether the agent is still at work, in case an event was missed. */
const statusEvery = 30;
/** And every so many the whole session is read: that takes the server's processor, and fifty agents share a few. */
const readEvery = 120;
/** The server sends a heartbeat every ten seconds: after this long without one it hangs, milliseconds. */
const heartbeatLimit = 45_000;
/** A session that has been idle between two steps for this long has stopped there, milliseconds. */
const restLimit = 10_000;
/** A prompt that was taken shows among the messages within this time, milliseconds. */
const takenLimit = 60_000;

/**
 * Watches a session until the turn of our prompt has ended, answers what the agent asks, and stops it at its budget.
 *
 * @throws AnswerTooLarge
 */
export async function watchTurn(client: OpencodeClient, watch: TurnWatch, signal: AbortSignal): Promise<WatchedEnd> {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const view = observe(client, watch, ended);
  const following = followEvents(client, view, ended);
  try {
    for (let look = 0; ; look += 1) {
      const end = await lookOnce(client, watch, view, look, ended);
      if (end) return end;
      await view.nextLook(interval);
      signal.throwIfAborted();
    }
  } finally {
    watch.progress(view.progress());
    stop.abort();
    await following;
  }
}

type View = ReturnType<typeof observe>;

async function lookOnce(
  client: OpencodeClient,
  watch: TurnWatch,
  view: View,
  look: number,
  signal: AbortSignal,
): Promise<WatchedEnd | null> {
  const lost = await watch.lost();
  if (lost !== null) return { kind: 'cell-lost', reason: lost };
  const overdue = view.overdue();
  if (overdue) return overdue;
  const end = await ask(client, watch, view, look, signal).catch((error: unknown) => view.unreadable(error));
  if (end) return end;
  watch.progress(view.progress());
  if (view.isBetweenRequests() && watch.provider.holdsBack()) {
    await abortSession(client, watch.sessionId, signal);
    return { kind: 'held-back' };
  }
  if (view.progress().tokens.total < watch.budget()) return null;
  await abortSession(client, watch.sessionId, signal);
  return { kind: 'budget-spent' };
}

/** Asks the server as much as this look has to. */
async function ask(
  client: OpencodeClient,
  watch: TurnWatch,
  view: View,
  look: number,
  signal: AbortSignal,
): Promise<WatchedEnd | null> {
  if (view.needsReading() || look % readEvery === 0) return await read(client, watch, view, signal);
  if (look % statusEvery !== 0) return null;
  if (!view.isTaken()) return await read(client, watch, view, signal);
  const status = await statusOf(client, watch.sessionId, signal);
  view.heard(status);
  return status.type === 'idle' ? await read(client, watch, view, signal) : null;
}

async function read(
  client: OpencodeClient,
  watch: TurnWatch,
  view: View,
  signal: AbortSignal,
): Promise<WatchedEnd | null> {
  await refusePending(client, signal);
  const status = await statusOf(client, watch.sessionId, signal);
  const messages = await readMessages(client, watch.sessionId, signal);
  view.read(messages, status);
  if (status.type !== 'idle') return null;
  const answer = answerTo(watch.messageId, messages);
  if (answer !== null && answer.id === watch.olderMessageId) return null;
  const isBetweenSteps = answer?.finish === 'tool-calls' || (answer?.finish === undefined && !answer?.error);
  if (answer !== null && isBetweenSteps && !view.restsFor(restLimit)) return null;
  if (answer === null) return view.failure();
  const left = watch.budget() - view.progress().tokens.total;
  // An answer that was cut off with nothing left was cut off by us.
  return left < 0 || (left === 0 && answer.error) ? { kind: 'budget-spent' } : judgeMessage(answer);
}

function observe(client: OpencodeClient, watch: TurnWatch, signal: AbortSignal) {
  const usage = countUsage();
  const startedAt = Date.now();
  let lastActivity = startedAt;
  let lastHeard = startedAt;
  let waitsUntil: number | null = null;
  let coolUntil = 0;
  let doing = 'waiting for the model';
  let summary = '';
  let failed: TurnEnd | null = null;
  let mustRead = false;
  let taken = false;
  let stopping = false;
  let restingSince: number | null = null;
  let wake = (): void => undefined;

  const readSoon = () => {
    mustRead = true;
    wake();
  };
  /** At once, and not at the next look: an agent that calls its model without a pause would have asked again by then. */
  const stopSpending = () => {
    if (!stopping) void abortSession(client, watch.sessionId, signal).catch(() => undefined);
    stopping = true;
    wake();
  };
  /** Told by its provider to come back later, an agent is not hung until then. */
  const takeStatus = (status: SessionStatus) => {
    if (status.type === 'retry') doing = waitOf(status);
    else if (waitsUntil !== null) doing = 'waiting for the model';
    waitsUntil = status.type === 'retry' ? status.next : null;
  };
  return {
    opened() {
      lastHeard = Date.now();
      readSoon();
    },
    event(event: Event) {
      lastHeard = Date.now();
      if ((event.type as string) === 'server.heartbeat') return; // sent by the server, though not in the SDK's list
      lastActivity = lastHeard;
      doing = activityOf(event) ?? doing;
      restingSince = null;
      if (event.type === 'message.updated') {
        usage.add(event.properties.info);
        taken ||= event.properties.info.id === watch.messageId;
      }
      if (event.type === 'session.status') {
        const { status } = event.properties;
        takeStatus(status);
        if (status.type === 'retry') watch.provider.failed(status.message, status.next);
      }
      if (isAnswer(event)) watch.provider.answered();
      if (event.type === 'permission.asked') void refusePermission(client, event.properties.id, signal).catch(readSoon);
      if (event.type === 'question.asked') void refuseQuestion(client, event.properties.id, signal).catch(readSoon);
      if (event.type === 'session.error' && event.properties.error) failed = judgeError(event.properties.error);
      if (event.type === 'session.idle' || event.type === 'session.error') readSoon();
      if (event.type === 'message.updated' && usage.tokens().total >= watch.budget()) stopSpending();
    },
    heard(status: SessionStatus) {
      lastHeard = Date.now();
      takeStatus(status);
    },
    read(messages: readonly SessionMessage[], status: SessionStatus) {
      mustRead = false;
      this.heard(status);
      for (const { info } of messages) usage.add(info);
      summary = summaryOf(messages);
      taken ||= messages.some(({ info }) => info.id === watch.messageId);
    },
    /** Whether the session has been idle between two steps for so long that it will not go on; a session that was just asked to may be idle yet. */
    restsFor(milliseconds: number): boolean {
      restingSince ??= Date.now();
      return Date.now() - restingSince >= milliseconds;
    },
    /** The session is idle without an answer: an error that the server told only as an event, if there was one. */
    failure: (): TurnEnd | null => failed,
    unreadable(error: unknown): null {
      signal.throwIfAborted();
      // It would be as large the next time.
      if (error instanceof AnswerTooLarge) throw error;
      mustRead = true;
      doing = `the server does not answer: ${error instanceof Error ? error.message : String(error)}`.slice(0, 200);
      return null;
    },
    needsReading: () => mustRead,
    /** Whether the session has shown our prompt. */
    isTaken: () => taken,
    /** Told to ask its provider again later, and not just about to. */
    isBetweenRequests: () => waitsUntil !== null && waitsUntil > Date.now() + 1_000,
    overdue(): WatchedEnd | null {
      const now = Date.now();
      // Kept when it is over: then the request has only just been sent.
      coolUntil = watch.provider.coolsDown()?.until ?? coolUntil;
      if (now - lastHeard > heartbeatLimit)
        return { kind: 'cell-lost', reason: 'the server of the cell no longer answers' };
      if (!taken && now - startedAt > takenLimit)
        return { kind: 'agent-failed', reason: 'the server never took the prompt up' };
      const silentFor = now - Math.max(lastActivity, waitsUntil ?? 0, coolUntil);
      if (silentFor <= watch.silenceLimit) return null;
      return {
        kind: 'agent-hangs',
        reason: `the agent was silent for ${Math.round(silentFor / 1000)} seconds (${doing})`,
      };
    },
    progress(): TurnProgress {
      const cooling = watch.provider.coolsDown();
      return {
        tokens: usage.tokens(),
        cost: usage.cost(),
        summary,
        lastActivity,
        doing: cooling === null ? doing : coolingOf(cooling),
        waitsUntil: cooling?.until ?? waitsUntil,
      };
    },
    async nextLook(milliseconds: number) {
      const woken = new AbortController();
      wake = () => woken.abort();
      await sleep(milliseconds, undefined, { signal: AbortSignal.any([woken.signal, signal]) }).catch(() => undefined);
    },
  };
}
