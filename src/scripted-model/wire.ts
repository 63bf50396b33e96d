import type { TokenUsage } from '../domain/outcome.ts';
import type { Reply } from './reply.ts';

/** Which answer a chunk belongs to. `created` in seconds since the epoch. */
export interface Envelope {
  id: string;
  model: string;
  created: number;
}

const textChunk = /[^]{1,24}/gu;
const argumentsChunk = /[^]{1,256}/gu;

/** The content of a reply in pieces, as a stream brings them. Surrogate pairs stay whole. */
export function deltasOf(reply: Reply): object[] {
  return [
    ...(reply.reasoning.match(textChunk) ?? []).map((piece) => ({ reasoning_content: piece })),
    ...(reply.text.match(textChunk) ?? []).map((piece) => ({ content: piece })),
    ...reply.calls.flatMap((call, index) => [
      { tool_calls: [{ index, id: call.id, type: 'function', function: { name: call.tool, arguments: '' } }] },
      ...(call.arguments.match(argumentsChunk) ?? []).map((piece) => ({
        tool_calls: [{ index, function: { arguments: piece } }],
      })),
    ]),
  ];
}

/** One chunk of a stream. */
export function chunk(envelope: Envelope, delta: object, finish: string | null = null): object {
  return {
    ...envelope,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
  };
}

/** The last chunk of a stream whose client asked for the usage. */
export function usageChunk(envelope: Envelope, usage: TokenUsage): object {
  return { ...envelope, object: 'chat.completion.chunk', choices: [], usage: wireUsage(usage) };
}

/** A whole answer, for a client that does not stream. */
export function completion(envelope: Envelope, reply: Reply): object {
  const calls = reply.calls.map((call) => ({
    id: call.id,
    type: 'function',
    function: { name: call.tool, arguments: call.arguments },
  }));
  const message = {
    role: 'assistant',
    content: reply.text === '' ? null : reply.text,
    ...(reply.reasoning === '' ? {} : { reasoning_content: reply.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return {
    ...envelope,
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: reply.finish, logprobs: null }],
    usage: wireUsage(reply.usage),
  };
}

/** An error as OpenAI words it. */
export function errorBody(status: number, message: string, code: string | null = null): object {
  return { error: { message, type: typeOf(status), param: null, code } };
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** On the wire the prompt includes what was cached, and the completion what was reasoned; in a script each token is counted once. */
function wireUsage(usage: TokenUsage): object {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  const generated = usage.output + usage.reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: generated,
    total_tokens: prompt + generated,
    prompt_tokens_details: { cached_tokens: usage.cacheRead },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
