import * as v from 'valibot';
import type { TokenUsage } from '../domain/outcome.ts';
import type { ModelApi } from './model-api.ts';

/** What an answer says of itself, piece by piece. */
export interface UsageReader {
  /** Takes one event of a stream, or a whole answer, as parsed JSON. */
  read(value: unknown): void;
  /** What the provider has reported so far; null while it has reported nothing. */
  reported(): TokenUsage | null;
  /** Whether that is the last word: of a stream that is cut, the provider may have told the beginning only. */
  complete(): boolean;
  /** Characters that the model has written so far, its reasoning and the arguments of its calls included. */
  characters(): number;
}

/** Reads the usage that an API reports; the last report of a stream is the one that counts, for they go on adding up. */
export function createUsageReader(api: ModelApi): UsageReader {
  let usage: TokenUsage | null = null;
  let complete = false;
  let characters = 0;
  let messages: v.InferOutput<typeof messagesUsage> = {};
  const take = (found: TokenUsage, last: boolean): void => {
    usage = found;
    complete ||= last;
  };
  return {
    read(value) {
      if (!v.is(anyObject, value)) return;
      characters += textOf(value);
      const beginning = value['type'] === 'message_start';
      if (api === 'chat' && v.is(v.object({ usage: chatUsage }), value)) take(ofChat(value.usage), true);
      if (api === 'responses') {
        const whole = v.is(v.object({ response: anyObject }), value) ? value.response : value;
        if (v.is(v.object({ usage: responsesUsage }), whole)) take(ofResponses(whole.usage), true);
      }
      if (api === 'messages') {
        const whole = v.is(v.object({ message: anyObject }), value) ? value.message : value;
        const parsed = v.safeParse(v.object({ usage: messagesUsage }), whole);
        if (!parsed.success) return;
        messages = { ...messages, ...withoutNull(parsed.output.usage) };
        // The first event of a stream tells the input; what was written is told at the end.
        take(ofMessages(messages), !beginning);
      }
    },
    reported: () => usage,
    complete: () => complete,
    characters: () => characters,
  };
}

const anyObject = v.record(v.string(), v.unknown());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const some = v.nullish(count);

const chatUsage = v.object({
  prompt_tokens: count,
  completion_tokens: count,
  // Only compared: one that is no number takes nothing from the rest.
  total_tokens: v.optional(v.unknown()),
  prompt_tokens_details: v.nullish(v.object({ cached_tokens: some, cache_write_tokens: some })),
  completion_tokens_details: v.nullish(v.object({ reasoning_tokens: some })),
});

const responsesUsage = v.object({
  input_tokens: count,
  output_tokens: count,
  input_tokens_details: v.nullish(v.object({ cached_tokens: some })),
  output_tokens_details: v.nullish(v.object({ reasoning_tokens: some })),
});

const messagesUsage = v.object({
  input_tokens: some,
  output_tokens: some,
  cache_read_input_tokens: some,
  cache_creation_input_tokens: some,
});

function ofChat(usage: v.InferOutput<typeof chatUsage>): TokenUsage {
  return split({
    prompt: usage.prompt_tokens,
    generated: usage.completion_tokens,
    cacheRead: usage.prompt_tokens_details?.cached_tokens ?? 0,
    cacheWrite: usage.prompt_tokens_details?.cache_write_tokens ?? 0,
    reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
    total: usage.total_tokens,
  });
}

function ofResponses(usage: v.InferOutput<typeof responsesUsage>): TokenUsage {
  return split({
    prompt: usage.input_tokens,
    generated: usage.output_tokens,
    cacheRead: usage.input_tokens_details?.cached_tokens ?? 0,
    cacheWrite: 0,
    reasoning: usage.output_tokens_details?.reasoning_tokens ?? 0,
    total: undefined,
  });
}

/** Here nothing is counted twice on the wire. */
function ofMessages(usage: v.InferOutput<typeof messagesUsage>): TokenUsage {
  const input = usage.input_tokens ?? 0;
  const output = usage.output_tokens ?? 0;
  const cacheRead = usage.cache_read_input_tokens ?? 0;
  const cacheWrite = usage.cache_creation_input_tokens ?? 0;
  return { input, output, reasoning: 0, cacheRead, cacheWrite, total: input + output + cacheRead + cacheWrite };
}

interface Told {
  prompt: number;
  generated: number;
  cacheRead: number;
  cacheWrite: number;
  reasoning: number;
  /** Of all kinds, where the provider tells it. */
  total: unknown;
}

/** On the wire the prompt includes what was cached, and the completion mostly what was reasoned; here each token is counted once. */
function split(told: Told): TokenUsage {
  const { prompt, generated, reasoning } = told;
  const cacheRead = Math.min(told.cacheRead, prompt);
  const cacheWrite = Math.min(told.cacheWrite, prompt - cacheRead);
  // Some providers, xAI for one, count reasoning beside the completion: their total says so, and else that there is more of it.
  const beside = reasoning > generated || told.total === prompt + generated + reasoning;
  const output = beside ? generated : generated - reasoning;
  const input = prompt - cacheRead - cacheWrite;
  return { input, output, reasoning, cacheRead, cacheWrite, total: prompt + output + reasoning };
}

function withoutNull<Value extends object>(value: Value): Partial<Value> {
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  // Fewer of the same entries.
  return Object.fromEntries(entries) as Partial<Value>;
}

const names = new Set(['id', 'type', 'role', 'name', 'item_id', 'finish_reason', 'stop_reason', 'signature']);

/** The characters of what the model wrote in one event: all strings below `delta`, names and ids excepted. */
function textOf(value: Record<string, unknown>): number {
  const choices: unknown[] = Array.isArray(value['choices']) ? value['choices'] : [];
  const deltas = [value['delta'], ...choices.map((choice) => (v.is(anyObject, choice) ? choice['delta'] : null))];
  return deltas.reduce<number>((sum, delta) => sum + lengthOf(delta), 0);
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce((sum, [name, item]) => sum + (names.has(name) ? 0 : lengthOf(item)), 0);
}
