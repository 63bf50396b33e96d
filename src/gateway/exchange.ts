import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TokenUsage } from '../domain/outcome.ts';
import { askProvider } from './ask-provider.ts';
import { type Budget, BudgetSpent } from './budget.ts';
import { type Cooldowns, retryAfterOf } from './cooldown.ts';
import type { Estimate } from './estimate.ts';
import { modelLabel } from './grant.ts';
import { headersToClient, headersToProvider, withoutSecrets } from './headers.ts';
import type { InputRates } from './input-rate.ts';
import type { CellLedger } from './ledger.ts';
import type { ExchangeOutcome, Meter } from './meter.ts';
import type { ModelRequest } from './model-request.ts';
import { plainAnswer } from './plain-answer.ts';
import { costOf } from './price.ts';
import { Refusal, sendRefusal } from './refusal.ts';
import { type AnswerWatch, watchAnswer } from './watch-answer.ts';

/** What a request of a cell is passed on with. */
export interface ExchangeDeps {
  budget: Budget;
  ledger: CellLedger;
  rates: InputRates;
  cooldowns: Cooldowns;
  meter: Meter;
  limits: ExchangeLimits;
  /** Hears until when the request waits for a cool-down, milliseconds since the epoch; null when it no longer does. */
  waiting: (until: number | null) => void;
  /** Hears of the refusal of the request. */
  refuse: (refusal: Refusal) => void;
}

/** All in milliseconds. */
export interface ExchangeLimits {
  /** How long a provider may say nothing. */
  silenceMs: number;
  /** From the sending of a request to the end of its answer. */
  totalMs: number;
  /** How long cool-downs may hold a request back; of a longer one the client is told. */
  longestWaitMs: number;
}

/** One request of a cell, and what it is answered with. */
export interface Exchange {
  call: ModelRequest;
  request: IncomingMessage;
  response: ServerResponse;
  /** Aborted when the client has gone, or the cell is closed. */
  gone: AbortSignal;
}

/** Passes one request on: makes room for it in the budget, waits for cool-downs, streams the answer, counts what was used. Never rejects. */
export async function passOn(deps: ExchangeDeps, exchange: Exchange): Promise<ExchangeOutcome> {
  const { call, response, gone } = exchange;
  const label = modelLabel(call.route.provider, call.model);
  let outcome: ExchangeOutcome = 'broken';
  try {
    const room = await makeRoom(deps, exchange, label);
    const relayed = await account(deps, exchange, label, room);
    outcome = relayed.outcome;
    deps.meter.ended(label, outcome);
    // Only now: who has seen the end of an answer finds it counted.
    response.end(relayed.rest);
    return outcome;
  } catch (error) {
    const refusal =
      error instanceof Refusal ? error : new Refusal('gateway_failed', 'the gateway failed', { cause: error });
    if (gone.aborted) outcome = 'left';
    else if (refusal.code === 'token_budget_spent') outcome = 'refused';
    else if (refusal.code === 'cooling_down') outcome = 'error';
    deps.meter.ended(label, outcome);
    if (!gone.aborted) deps.refuse(refusal);
    if (response.headersSent || gone.aborted) response.destroy();
    else sendRefusal(response, refusal);
    return outcome;
  }
}

/** How an answer went, and what is left to be sent of it. */
interface Relayed {
  outcome: ExchangeOutcome;
  rest: string;
}

/** The room of one request in the budget. */
interface Room {
  estimate: Estimate;
  /** Gives it back for what was used. Once. */
  settle(used: { tokens: TokenUsage; estimated: boolean }): void;
}

async function makeRoom({ budget, rates }: ExchangeDeps, { call, gone }: Exchange, label: string): Promise<Room> {
  const { estimate, learn } = rates.correct(label, call.estimate);
  try {
    const reservation = await budget.reserve(estimate, gone);
    return {
      estimate,
      settle({ tokens, estimated }) {
        reservation.settle(tokens.total);
        if (!estimated) learn(tokens);
      },
    };
  } catch (error) {
    if (error instanceof BudgetSpent) throw new Refusal('token_budget_spent', error.message, { cause: error });
    throw error;
  }
}

/** Whatever happens, the room is given back, and what was used is written down. */
async function account(deps: ExchangeDeps, exchange: Exchange, label: string, room: Room): Promise<Relayed> {
  const { api, price } = exchange.call;
  const watch = watchAnswer({ api, estimate: room.estimate });
  try {
    await passCooldown(deps, exchange, label, Date.now());
    const settle = await deps.ledger.enter(label, room.estimate.input);
    try {
      return await converse(deps, exchange, label, watch);
    } finally {
      const used = watch.used();
      const cost = costOf(used.tokens, price);
      deps.meter.used(label, used.tokens, used.estimated, cost);
      await settle({ model: label, ...used, cost });
    }
  } finally {
    room.settle(watch.used());
  }
}

async function converse(deps: ExchangeDeps, exchange: Exchange, label: string, watch: AnswerWatch): Promise<Relayed> {
  const { call, request, gone } = exchange;
  const { silenceMs, totalMs } = deps.limits;
  const headers = headersToProvider(request.headers, call.route, call.body);
  const since = Date.now();
  for (;;) {
    using limit = endingAfter(totalMs, gone);
    const sentAt = performance.now();
    const { url, body } = call;
    const answer = await askProvider({ url, headers, body, silenceMs, sent: () => watch.sent() }, limit.signal);
    const status = answer.statusCode ?? 0;
    const rest = status === 429 || status === 529 ? retryAfterOf(answer.headers) : null;
    if (rest === null) {
      return await relay(exchange, answer, watch, () =>
        deps.meter.firstToken(label, (performance.now() - sentAt) / 1000),
      );
    }
    watch.refused();
    answer.resume();
    deps.cooldowns.begin(label, Math.max(rest, shortestCooldown));
    deps.meter.cooled(label);
    await passCooldown(deps, exchange, label, since);
  }
}

/** A provider that says "at once" and refuses again would be asked without a pause, milliseconds. */
const shortestCooldown = 1_000;

async function passCooldown(deps: ExchangeDeps, { gone }: Exchange, label: string, since: number): Promise<void> {
  const { cooldowns, limits, waiting } = deps;
  try {
    // It may begin anew while somebody waits, and be too long then.
    for (let until = cooldowns.until(label); until !== null; until = cooldowns.until(label)) {
      if (until - since > limits.longestWaitMs) throw coolingDown(label, until);
      await cooldowns.pass(label, waiting, gone);
    }
  } finally {
    waiting(null);
  }
}

const coolingDown = (label: string, until: number): Refusal =>
  new Refusal('cooling_down', `the provider wants ${label} left alone until ${new Date(until).toISOString()}`, {
    retryAfterMs: until - Date.now(),
  });

async function relay(
  { call, response, gone }: Exchange,
  answer: IncomingMessage,
  watch: AnswerWatch,
  first: () => void,
): Promise<Relayed> {
  const status = answer.statusCode ?? 0;
  const { headers, body, encoding } = plainAnswer(answer);
  if (status >= 300) {
    watch.refused();
    const text = withoutSecrets(await beginningOf(body, gone), call.route);
    if (status < 400)
      throw new Refusal('provider_unreachable', `the provider redirects (${status}), which is not followed`);
    response.writeHead(status, headersToClient(headers));
    return { outcome: 'error', rest: text };
  }
  // What nobody can read is no stream of events: it is counted by its bytes.
  watch.begin(encoding === null && /^text\/event-stream\b/i.test(headers['content-type'] ?? ''));
  const encoded = encoding === null ? {} : { 'content-encoding': encoding };
  response.writeHead(status, { ...headersToClient(headers), ...encoded }).flushHeaders();
  let began = false;
  // What is written waits for whoever reads it, and a client that reads no more would keep it waiting though the answer is over.
  const broken = Promise.withResolvers<never>();
  body.once('error', broken.reject);
  const passed = pipeline(
    body,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        if (!began) first();
        began = true;
        watch.take(chunk);
        yield chunk;
      }
    },
    response,
    { end: false },
  );
  await Promise.race([passed, broken.promise]).catch((error: unknown) => {
    throw error === body.errored ? brokenOff(error) : error;
  });
  watch.end();
  return { outcome: 'answered', rest: '' };
}

/** An answer that breaks off is no failure of ours. */
const brokenOff = (error: unknown): Refusal =>
  error instanceof Refusal
    ? error
    : new Refusal('provider_unreachable', 'the answer of the provider broke off', { cause: error });

/** An error says what it has to say in its first 64 KiB; where it breaks off before, what came of it says more than nothing. */
async function beginningOf(body: Readable, gone: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      // without an encoding a stream of the network gives buffers
      chunks.push(chunk);
      size += chunk.length;
      if (size > 64 * 1024) break;
    }
  } catch {
    gone.throwIfAborted();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Aborts with another signal, or when its time is over. */
function endingAfter(milliseconds: number, other: AbortSignal): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const leave = () => controller.abort(other.reason);
  const overdue = () =>
    controller.abort(new Refusal('provider_silent', `the answer took longer than ${milliseconds / 1000} seconds`));
  const timer = setTimeout(overdue, milliseconds);
  other.addEventListener('abort', leave, { once: true });
  if (other.aborted) leave();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      other.removeEventListener('abort', leave);
    },
  };
}
