import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChatRequest } from './chat-request.ts';
import type { LedgerEnding } from './ledger.ts';
import type { Reply } from './reply.ts';
import type { Turn } from './script.ts';
import { chunk, completion, deltasOf, errorBody, usageChunk, type Envelope } from './wire.ts';

/** What is to be played, and to whom. */
export interface Performance {
  turn: Turn;
  reply: Reply;
  request: ChatRequest;
  envelope: Envelope;
  /** Counts the tries of this turn from 1: a fault with `times` passes after so many. */
  tryNumber: number;
  response: ServerResponse;
  /** Aborted when the client has gone. */
  signal: AbortSignal;
}

/** Plays one turn. Rejects with an AbortError when the client goes before the end. */
export async function play(performance: Performance): Promise<LedgerEnding> {
  const { turn, response, signal } = performance;
  if (turn.delay !== undefined) await delay(turn.delay, undefined, { signal });
  if (turn.error !== undefined && isDue(turn.error, performance)) return playError(turn.error, response);
  if (turn.silence !== undefined) return playSilence(turn.silence, performance);
  if (turn.garbage !== undefined) return playGarbage(performance);
  return performance.request.stream ? playStream(performance) : playWhole(performance);
}

function isDue(fault: { times?: number | undefined }, { tryNumber }: Performance): boolean {
  return fault.times === undefined || tryNumber <= fault.times;
}

function playError(error: NonNullable<Turn['error']>, response: ServerResponse): LedgerEnding {
  const { status } = error;
  if (error.retryAfter !== undefined) response.setHeader('retry-after', String(error.retryAfter));
  sendJson(response, status, error.body ?? errorBody(status, error.message ?? `the script answers with ${status}`));
  return { status, outcome: 'error', usage: null };
}

async function playSilence(silence: NonNullable<Turn['silence']>, performance: Performance): Promise<never> {
  if (silence === true) {
    beginStream(performance.response);
    performance.response.flushHeaders();
  }
  if (!performance.signal.aborted) await once(performance.signal, 'abort');
  throw performance.signal.reason;
}

function playGarbage({ request, response }: Performance): LedgerEnding {
  if (request.stream) beginStream(response);
  else response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${request.stream ? 'data: ' : ''}<html>this is not JSON</html>\n\n`);
  return { status: 200, outcome: 'garbage', usage: null };
}

async function playStream(performance: Performance): Promise<LedgerEnding> {
  const { turn, reply, request, envelope, response, signal } = performance;
  beginStream(response);
  await send(response, chunk(envelope, { role: 'assistant', content: '' }), signal);
  const deltas = deltasOf(reply);
  const cut = turn.cut !== undefined && isDue(turn.cut, performance) ? turn.cut.afterChunks : null;
  for (const delta of deltas.slice(0, cut ?? undefined)) {
    await send(response, chunk(envelope, delta), signal);
    if (turn.chunkDelay !== undefined) await delay(turn.chunkDelay, undefined, { signal });
  }
  if (cut !== null) {
    response.destroy();
    return { status: 200, outcome: 'cut', usage: null };
  }
  await send(response, chunk(envelope, {}, reply.finish), signal);
  if (request.wantsUsage) await send(response, usageChunk(envelope, reply.usage), signal);
  response.end('data: [DONE]\n\n');
  return { status: 200, outcome: 'finished', usage: request.wantsUsage ? reply.usage : null };
}

async function playWhole(performance: Performance): Promise<LedgerEnding> {
  const { turn, reply, envelope, response, signal } = performance;
  const body = JSON.stringify(completion(envelope, reply));
  if (turn.cut !== undefined && isDue(turn.cut, performance)) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    await write(response, body.slice(0, body.length / 2), signal);
    response.destroy();
    return { status: 200, outcome: 'cut', usage: null };
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  return { status: 200, outcome: 'finished', usage: reply.usage };
}

function beginStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
}

const send = (response: ServerResponse, data: object, signal: AbortSignal): Promise<void> =>
  write(response, `data: ${JSON.stringify(data)}\n\n`, signal);

/** Waits until the text has left: what comes before a cut must reach the client. */
async function write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    response.write(text, (error) => {
      signal.removeEventListener('abort', leave);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Answers with a JSON body. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
