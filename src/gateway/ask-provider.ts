import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  Agent,
  request as askHttp,
} from 'node:http';
import { Agent as SecureAgent, request as askHttps } from 'node:https';
import { Refusal } from './refusal.ts';

/** A request to a provider, ready to be sent. */
export interface ProviderCall {
  url: URL;
  headers: OutgoingHttpHeaders;
  body: string;
  /** How long the provider may say nothing, before its answer and within it, milliseconds. */
  silenceMs: number;
  /** Called when all of it has been handed to the network, or is answered before: from then on it may cost something. */
  sent: () => void;
}

/** A connection that was closed says so within this time of the sending; later the provider may have worked on the request. */
const staleMs = 1_000;

const agents = { 'http:': new Agent({ keepAlive: true }), 'https:': new SecureAgent({ keepAlive: true }) };

/**
 * Sends a request and waits for the head of the answer. Redirections are not followed.
 *
 * @throws Refusal when the provider cannot be reached or says nothing, and the reason of the signal.
 */
export async function askProvider(call: ProviderCall, signal: AbortSignal): Promise<IncomingMessage> {
  try {
    return await send(call, signal, agents);
  } catch (error) {
    // Whatever cut one that was kept may have cut them all: now by a new one.
    if (error instanceof StaleConnection) return send(call, signal, null);
    throw error;
  }
}

/** A connection that was kept from an earlier request had been closed by the provider: the request was not taken. */
class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

async function send(call: ProviderCall, signal: AbortSignal, kept: typeof agents | null): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const { url, headers, body, silenceMs, sent } = call;
  const options = { method: 'POST', headers };
  const request: ClientRequest =
    url.protocol === 'https:'
      ? askHttps(url, { ...options, agent: kept?.['https:'] ?? false })
      : askHttp(url, { ...options, agent: kept?.['http:'] ?? false });
  const begunAt = performance.now();
  const abort = () => request.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  request.once('close', () => signal.removeEventListener('abort', abort));
  request.setTimeout(silenceMs, () => {
    request.destroy(new Refusal('provider_silent', `the provider said nothing for ${silenceMs / 1000} seconds`));
  });
  request.once('finish', sent);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once('response', (answer) => {
    // Not after the answer any more: an error costs nothing, however much was sent.
    request.off('finish', sent);
    sent();
    resolve(answer);
  });
  request.on('error', (error) =>
    reject(signal.aborted ? signal.reason : faultOf(error, request, performance.now() - begunAt)),
  );
  request.end(body);
  return promise;
}

function faultOf(error: Error, request: ClientRequest, afterMs: number): Error {
  if (error instanceof Refusal) return error;
  const code = 'code' in error ? String(error.code) : error.name;
  const cut = code === 'ECONNRESET' || code === 'EPIPE';
  if (cut && request.reusedSocket && afterMs < staleMs) return new StaleConnection(code);
  return new Refusal('provider_unreachable', `the provider cannot be reached: ${code}`, { cause: error });
}
