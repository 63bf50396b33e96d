import { once } from 'node:events';
import { createServer } from 'node:net';
import waitFor from 'p-wait-for';
import { describe, expect, test } from 'vitest';
import type { ScriptsInput } from '../../../src/scripted-model/script.ts';
import { startScriptedModel, type ScriptedModel } from '../../../src/scripted-model/server.ts';

const usage = { input: 10, output: 5, cacheRead: 3, reasoning: 2 };

const scripts: ScriptsInput = {
  talk: {
    rounds: [
      {
        turns: [
          {
            reasoning: 'Hm.',
            text: 'A text that takes more than one chunk to tell.',
            calls: [{ tool: 'read' }],
            usage,
          },
          { text: 'Done.' },
        ],
      },
    ],
  },
  limited: { rounds: [{ turns: [{ error: { status: 429, retryAfter: 7, times: 2 }, text: 'Now.' }] }] },
  refusing: { rounds: [{ turns: [{ error: { status: 503, body: { odd: true } } }] }] },
  cut: {
    rounds: [
      {
        turns: [{ cut: { afterChunks: 2, times: 1 }, text: 'A text that takes more than two chunks to tell, really.' }],
      },
    ],
  },
  silent: { rounds: [{ turns: [{ silence: true }] }] },
  mute: { rounds: [{ turns: [{ silence: 'before-headers' }] }] },
  garbage: { rounds: [{ turns: [{ garbage: true }] }] },
  late: { rounds: [{ turns: [{ delay: 60_000, text: 'x' }] }] },
};

interface Asked {
  script: string;
  body?: object;
  signal?: AbortSignal;
  session?: string;
}

function ask(model: ScriptedModel, { script, body = {}, signal, session = 'one' }: Asked): Promise<Response> {
  return fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    headers: { 'x-session-id': session },
    body: JSON.stringify({ model: 'default', messages: [{ role: 'user', content: `[script: ${script}]` }], ...body }),
    ...(signal ? { signal } : {}),
  });
}

const streamed = { stream: true, stream_options: { include_usage: true } };

const eventsOf = (text: string): unknown[] =>
  text.split('\n\n').flatMap((event) => {
    const data = event.replace(/^data: /, '');
    return data === '' || data === '[DONE]' ? [] : [JSON.parse(data) as unknown];
  });

const lastOf = (model: ScriptedModel) => model.ledger().at(-1);

const ended = (model: ScriptedModel) =>
  waitFor(() => lastOf(model)?.outcome !== 'under-way', { interval: 5, timeout: 5000 });

describe('a completion', () => {
  test('is a whole answer for a client that does not stream', async () => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'talk' });
    expect(await response.json()).toMatchObject({
      object: 'chat.completion',
      choices: [
        {
          message: {
            content: 'A text that takes more than one chunk to tell.',
            reasoning_content: 'Hm.',
            tool_calls: [{ type: 'function', function: { name: 'read', arguments: '{}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 13, completion_tokens: 7, total_tokens: 20, prompt_tokens_details: { cached_tokens: 3 } },
    });
  });

  test('is a stream of chunks that make the same answer', async () => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'talk', body: streamed });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const text = await response.text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const pieces = [...text.matchAll(/"content":"([^"]+)"/g)].map(([, piece]) => piece);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe('A text that takes more than one chunk to tell.');
    expect(eventsOf(text).at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 20 } });
  });

  test('tells the usage of a stream only to a client that asks, and the ledger knows what was told', async () => {
    await using model = await startScriptedModel({ scripts });
    const text = await (await ask(model, { script: 'talk', body: { stream: true } })).text();
    expect(text).not.toContain('usage');
    await (await ask(model, { script: 'talk', body: streamed })).text();
    expect(model.ledger().map((entry) => entry.usage?.total ?? null)).toEqual([null, 20]);
  });

  test('is refused with the names of the scripts when the marker is wrong', async () => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'tlak' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: {
        type: 'invalid_request_error',
        code: 'unknown_script',
        message: expect.stringContaining('late, mute'),
      },
    });
    expect(lastOf(model)).toMatchObject({ outcome: 'refused', script: null, marker: 'tlak', status: 400 });
  });
});

describe('a fault', () => {
  test('that has a number of times passes after them, for each session by itself', async () => {
    await using model = await startScriptedModel({ scripts });
    const statuses = [];
    for (const session of ['one', 'one', 'two', 'one']) {
      const response = await ask(model, { script: 'limited', session });
      statuses.push(response.status);
      if (response.status === 429) expect(response.headers.get('retry-after')).toBe('7');
      await response.text();
    }
    expect(statuses).toEqual([429, 429, 429, 200]);
    expect(model.ledger().map((entry) => entry.try)).toEqual([1, 2, 1, 3]);
  });

  test('may have a body of its own', async () => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'refusing' });
    expect([response.status, await response.json()]).toEqual([503, { odd: true }]);
    expect(lastOf(model)).toMatchObject({ outcome: 'error', status: 503, usage: null });
  });

  test.for([streamed, {}])('cuts an answer in the middle, and the next try is whole: %j', async (body) => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'cut', body });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect(lastOf(model)).toMatchObject({ outcome: 'cut', usage: null });
    expect(await (await ask(model, { script: 'cut', body })).text()).toContain('really');
  });

  test('sends what comes before a cut', async () => {
    await using model = await startScriptedModel({ scripts });
    const { body } = await ask(model, { script: 'cut', body: streamed });
    let received = '';
    const read = async () => {
      for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) received += chunk;
    };
    await expect(read()).rejects.toThrow();
    expect([...received.matchAll(/"content":"[^"]/g)]).toHaveLength(2);
  });

  test('of silence sends headers and nothing else, or nothing at all, until the client goes', async () => {
    await using model = await startScriptedModel({ scripts });
    const controller = new AbortController();
    const response = await ask(model, { script: 'silent', body: streamed, signal: controller.signal });
    expect(response.status).toBe(200);
    expect(lastOf(model)).toMatchObject({ outcome: 'under-way', durationMs: null });
    controller.abort();
    await ended(model);
    expect(lastOf(model)).toMatchObject({ outcome: 'client-gone', status: 200 });
    await expect(ask(model, { script: 'mute', signal: AbortSignal.timeout(200) })).rejects.toThrow('timeout');
    await ended(model);
    expect(lastOf(model)).toMatchObject({ outcome: 'client-gone', status: null });
  });

  test.for([streamed, {}])('of garbage is not JSON: %j', async (body) => {
    await using model = await startScriptedModel({ scripts });
    const response = await ask(model, { script: 'garbage', body });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<html>');
  });
});

describe('the ledger', () => {
  test('holds every request with its place in the script, over HTTP and in the program, until it is cleared', async () => {
    await using model = await startScriptedModel({ scripts });
    await (await ask(model, { script: 'talk', body: streamed })).text();
    const url = `http://127.0.0.1:${model.port}/ledger`;
    expect(await (await fetch(url)).json()).toEqual({ entries: model.ledger() });
    expect(model.ledger()).toMatchObject([
      {
        id: 1,
        kind: 'turn',
        script: 'talk',
        round: 1,
        turn: 1,
        try: 1,
        session: 'one',
        prompt: '[script: talk]',
        status: 200,
        outcome: 'finished',
      },
    ]);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
    expect(model.ledger()).toEqual([]);
  });
});

describe('the server', () => {
  test('lists its one model', async () => {
    await using model = await startScriptedModel({ scripts });
    expect(await (await fetch(`${model.url}/models`)).json()).toMatchObject({ data: [{ id: 'default' }] });
  });

  test.for([
    ['this is not JSON', 'the body is not JSON'],
    ['[]', 'Invalid'],
    ['{"messages": 5}', 'messages: must be a list'],
    ['{"messages": []}', 'messages: must not be empty'],
    ['{"messages": [{"role": "user", "content": {}}]}', 'content: must be a string or a list of parts'],
  ])('refuses the body %s and goes on', async ([body = '', message = '']) => {
    await using model = await startScriptedModel({ scripts });
    const response = await fetch(`${model.url}/chat/completions`, { method: 'POST', body });
    expect(response.status).toBe(400);
    expect(JSON.stringify(await response.json())).toContain(message);
    expect((await ask(model, { script: 'talk' })).status).toBe(200);
  });

  test('refuses a body of more than 8 MiB and goes on', async () => {
    await using model = await startScriptedModel({ scripts });
    const response = await fetch(`${model.url}/chat/completions`, {
      method: 'POST',
      body: 'x'.repeat(32 * 1024 * 1024),
    });
    expect(response.status).toBe(413);
    await response.text();
    expect((await ask(model, { script: 'talk' })).status).toBe(200);
  });

  test('answers an unknown path with an error', async () => {
    await using model = await startScriptedModel({ scripts });
    expect((await fetch(`${model.url}/nothing`)).status).toBe(404);
  });

  test('notices that a client went while it waited to answer', async () => {
    await using model = await startScriptedModel({ scripts });
    await expect(ask(model, { script: 'late', signal: AbortSignal.timeout(200) })).rejects.toThrow();
    await ended(model);
    expect(lastOf(model)).toMatchObject({ outcome: 'client-gone', turn: 1 });
  });

  test('closes every connection when it is disposed of, twice if need be', async () => {
    const model = await startScriptedModel({ scripts });
    const waiting = ask(model, { script: 'late' });
    await waitFor(() => model.ledger().length === 1, { interval: 5, timeout: 5000 });
    await Promise.all([expect(waiting).rejects.toThrow(), model[Symbol.asyncDispose]()]);
    await model[Symbol.asyncDispose]();
    await expect(fetch(`${model.url}/models`)).rejects.toThrow();
  });

  test('ends when its signal is aborted', async () => {
    const controller = new AbortController();
    await using model = await startScriptedModel({ scripts, signal: controller.signal });
    controller.abort();
    await waitFor(
      () =>
        fetch(`${model.url}/models`).then(
          () => false,
          () => true,
        ),
      { interval: 10, timeout: 5000 },
    );
    await expect(startScriptedModel({ scripts, signal: controller.signal })).rejects.toThrow('aborted');
  });

  test('says that its port is taken', async () => {
    await using taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(startScriptedModel({ scripts, port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`);
  });
});
