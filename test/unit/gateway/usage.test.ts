import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ModelApi } from '../../../src/gateway/model-api.ts';
import { watchAnswer } from '../../../src/gateway/watch-answer.ts';

/** Watches an answer that comes in pieces, and ends or is cut. */
function watch(api: ModelApi, text: string, { stream = true, cuts = [] as number[], ended = true } = {}) {
  const bytes = Buffer.from(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((one, other) => one - other);
  const answer = watchAnswer({ api, estimate: { input: 100, most: 1100 } });
  answer.sent();
  answer.begin(stream);
  let from = 0;
  for (const end of ends) {
    answer.take(bytes.subarray(from, end));
    from = end;
  }
  if (ended) answer.end();
  return answer.used();
}

const events = (...values: object[]): string => values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join('');

const chat =
  events(
    { choices: [{ delta: { role: 'assistant', content: '' } }] },
    { choices: [{ delta: { reasoning_content: 'hmm' } }] },
    { choices: [{ delta: { content: 'Grüße 🌍' } }] },
    {
      choices: [],
      usage: {
        prompt_tokens: 120,
        completion_tokens: 30,
        prompt_tokens_details: { cached_tokens: 100 },
        completion_tokens_details: { reasoning_tokens: 10 },
      },
    },
  ) + 'data: [DONE]\n\n';

const responses = events(
  { type: 'response.created', response: { usage: null } },
  { type: 'response.output_text.delta', delta: 'four' },
  {
    type: 'response.completed',
    response: {
      usage: {
        input_tokens: 50,
        output_tokens: 20,
        input_tokens_details: { cached_tokens: 40 },
        output_tokens_details: { reasoning_tokens: 5 },
      },
    },
  },
);

const started = {
  type: 'message_start',
  message: {
    usage: { input_tokens: 10, cache_read_input_tokens: 5, cache_creation_input_tokens: 3, output_tokens: 1 },
  },
};
const messages = events(
  started,
  { type: 'content_block_delta', delta: { type: 'text_delta', text: 'twelve chars' } },
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 40 } },
);

const reported = {
  chat: { input: 20, output: 20, reasoning: 10, cacheRead: 100, cacheWrite: 0, total: 150 },
  responses: { input: 10, output: 15, reasoning: 5, cacheRead: 40, cacheWrite: 0, total: 70 },
  messages: { input: 10, output: 40, reasoning: 0, cacheRead: 5, cacheWrite: 3, total: 58 },
};

describe('the usage of an answer', () => {
  test.for([
    ['chat', chat],
    ['responses', responses],
    ['messages', messages],
  ] as const)('of %s is what the provider reported, wherever the pieces of the stream end', ([api, text]) => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (cuts) => {
        expect(watch(api, text, { cuts })).toEqual({ tokens: reported[api], estimated: false });
      }),
      { numRuns: 200 },
    );
  });

  test('is read of an answer that is no stream', () => {
    const chatBody = JSON.stringify({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } });
    expect(watch('chat', chatBody, { stream: false, cuts: [5] }).tokens).toMatchObject({
      input: 7,
      output: 3,
      total: 10,
    });
    const message = JSON.stringify({ type: 'message', usage: { input_tokens: 4, output_tokens: 2 } });
    expect(watch('messages', message, { stream: false })).toMatchObject({ tokens: { total: 6 }, estimated: false });
    const response = JSON.stringify({ object: 'response', usage: { input_tokens: 8, output_tokens: 1 } });
    expect(watch('responses', response, { stream: false })).toMatchObject({ tokens: { total: 9 }, estimated: false });
  });

  test('is the last that was reported where a stream reports it again and again', () => {
    const twice = [1, 2].map((tokens) => ({ choices: [], usage: { prompt_tokens: 5, completion_tokens: tokens } }));
    expect(watch('chat', events(...twice)).tokens.total).toBe(7);
  });

  test('is estimated, and said to be, of a stream that is cut before its report', () => {
    const cut = chat.slice(0, chat.indexOf('data: {"choices":[],"usage"'));
    expect(watch('chat', cut, { ended: false })).toEqual({
      tokens: { input: 100, output: 3, reasoning: 0, cacheRead: 0, cacheWrite: 0, total: 103 },
      estimated: true,
    });
  });

  test('keeps what was reported of the input when a stream of messages is cut', () => {
    const cut = messages.slice(0, messages.indexOf('data: {"type":"message_delta"'));
    expect(watch('messages', cut, { ended: false })).toEqual({
      tokens: { input: 10, output: 3, reasoning: 0, cacheRead: 5, cacheWrite: 3, total: 21 },
      estimated: true,
    });
  });

  test('is estimated where a provider reports none', () => {
    expect(watch('chat', 'data: <html>\n\n')).toMatchObject({ tokens: { total: 100 }, estimated: true });
    expect(watch('chat', 'x'.repeat(400), { stream: false })).toMatchObject({
      tokens: { total: 200 },
      estimated: true,
    });
    const absurd = { usage: { prompt_tokens: -5, completion_tokens: 'many' } };
    expect(watch('chat', events(absurd))).toMatchObject({ tokens: { total: 100 }, estimated: true });
  });

  test('is nothing while the request has not left, and for an error', () => {
    const answer = watchAnswer({ api: 'chat', estimate: { input: 100, most: 101 } });
    expect(answer.used()).toMatchObject({ tokens: { total: 0 }, estimated: false });
    answer.sent();
    expect(answer.used()).toMatchObject({ tokens: { total: 100 }, estimated: true });
    answer.refused();
    expect(answer.used()).toMatchObject({ tokens: { total: 0 }, estimated: false });
  });

  test('has the reasoning beside the completion where only both together come to the total that the provider tells', () => {
    const usageOf = (reasoning_tokens: number, total_tokens: number) =>
      watch(
        'chat',
        events({
          usage: {
            prompt_tokens: 32,
            completion_tokens: 40,
            total_tokens,
            prompt_tokens_details: { cached_tokens: 2 },
            completion_tokens_details: { reasoning_tokens },
          },
        }),
      ).tokens;
    const beside = { input: 30, output: 40, reasoning: 10, cacheRead: 2, cacheWrite: 0, total: 82 };
    expect(usageOf(10, 82)).toEqual(beside);
    expect(usageOf(10, 72)).toEqual({ ...beside, output: 30, total: 72 });
    // A total that is neither sum says nothing.
    expect(usageOf(10, 1)).toEqual({ ...beside, output: 30, total: 72 });
    expect(usageOf(0, 72)).toEqual({ ...beside, reasoning: 0, total: 72 });
  });

  test('counts no token twice, whatever a provider says of parts that are larger than the whole', () => {
    const details = {
      prompt_tokens_details: { cached_tokens: 90 },
      completion_tokens_details: { reasoning_tokens: 30 },
    };
    const usage = { prompt_tokens: 50, completion_tokens: 20, ...details };
    expect(watch('chat', events({ usage })).tokens).toEqual({
      input: 0,
      output: 20,
      reasoning: 30,
      cacheRead: 50,
      cacheWrite: 0,
      total: 100,
    });
  });
});
