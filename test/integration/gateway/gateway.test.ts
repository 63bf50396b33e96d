import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  ask,
  begin,
  chat,
  realKey,
  routeTo,
  stageGateway,
  startGateway,
  startProvider,
} from '../../support/gateway.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a request through the gateway', () => {
  test('is answered as the provider answers, and counted as the provider counts', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const streamed = await ask(door, chat('talks'));
    expect([streamed.status, streamed.whole]).toEqual([200, true]);
    expect(streamed.headers['content-type']).toContain('text/event-stream');
    const direct = await fetch(`${it.model.url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify(chat('talks', { stream_options: { include_usage: true } })),
    });
    const withoutTime = (text: string) => text.replaceAll(/"created":\d+/g, '');
    expect(withoutTime(streamed.text)).toBe(withoutTime(await direct.text()));
    it.model.clearLedger();
    const whole = await ask(door, chat('talks', { stream: false }));
    expect(JSON.parse(whole.text)).toMatchObject({ choices: [{ message: { content: 'Hello, I am here.' } }] });
    expect(it.place.account(cellId)).toMatchObject({
      tokens: { input: 200, output: 20, cacheRead: 60, reasoning: 10, cacheWrite: 0, total: 290 },
      estimatedTokens: 0,
      budget: { used: 290, reserved: 0 },
    });
    expect(it.place.account(cellId).cost).toBeCloseTo(2 * (100 + 15 * 4 + 30 * 0.1) * 1e-6, 12);
    expect(it.counted()).toBe(145);
  });

  test('carries our key and not that of its client, and nothing brings ours back', async () => {
    await using provider = await startProvider((_, response) => {
      response.writeHead(401, { 'content-type': 'application/json', 'x-key': realKey });
      response.end(JSON.stringify({ error: { message: `Bearer ${realKey} is wrong, says ${realKey}` } }));
    });
    await using place = await startGateway();
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    const headers = { authorization: 'Bearer stolen', 'x-api-key': 'stolen', cookie: 'stolen' };
    const answer = await ask(door, chat('talks'), { headers });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('*** is wrong');
    expect(JSON.stringify(answer)).not.toContain(realKey);
    const [request] = provider.requests;
    expect(request?.headers.authorization).toBe(`Bearer ${realKey}`);
    expect(JSON.stringify(provider.requests)).not.toContain('stolen');
    expect(place.account(cellId)).toMatchObject({ tokens: { total: 0 }, budget: { used: 0, reserved: 0 } });
    expect(JSON.stringify([place.gateway.accounts(), place.gateway.figures()])).not.toContain(realKey);
  });

  test('reaches an Anthropic provider, whose usage is read as it tells it', async () => {
    const events = [
      { type: 'message_start', message: { usage: { input_tokens: 40, cache_read_input_tokens: 8, output_tokens: 1 } } },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'Hello' } },
      { type: 'message_delta', delta: {}, usage: { output_tokens: 12 } },
      { type: 'message_stop' },
    ];
    await using provider = await startProvider((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const event of events) response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      response.end();
    });
    await using place = await startGateway();
    const route = routeTo(provider.url, {
      provider: 'claude',
      headers: { 'x-api-key': realKey },
      models: { one: null },
    });
    const { cellId, door } = await place.open([route]);
    const headers = { 'anthropic-version': '2023-06-01' };
    const body = { model: 'one', max_tokens: 100, stream: true, messages: [{ role: 'user', content: 'Hello' }] };
    const answer = await ask(door, body, { path: '/claude/v1/messages', headers });
    expect(answer.status).toBe(200);
    expect(provider.requests).toMatchObject([
      { path: '/v1/messages', headers: { 'x-api-key': realKey, 'anthropic-version': '2023-06-01' } },
    ]);
    expect(JSON.parse(provider.requests[0]?.body ?? '')).toEqual(body);
    expect(place.account(cellId)).toMatchObject({
      tokens: { input: 40, output: 12, cacheRead: 8, total: 60 },
      estimatedTokens: 0,
      cost: null,
    });
  });

  test.for([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const)(
    'is counted also where its answer is compressed although nobody asked for it: %s',
    async ([name, pack]) => {
      const head = { 'content-encoding': name };
      const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
      const text = event({ choices: [{ delta: { content: 'Hello.' } }] });
      const last = event({ choices: [], usage: { prompt_tokens: 1000, completion_tokens: 4000 } });
      await using provider = await startProvider((request, response) => {
        if (request.headers['x-session-id'] === 'fails')
          response.writeHead(401, head).end(pack(`{"error":"${realKey} is wrong"}`));
        else response.writeHead(200, { ...head, 'content-type': 'text/event-stream' }).end(pack(text + last));
      });
      await using place = await startGateway();
      const { cellId, door } = await place.open([routeTo(provider.url)]);
      const answer = await ask(door, chat('talks'));
      expect([answer.status, answer.text, answer.headers['content-encoding']]).toEqual([200, text + last, undefined]);
      expect(place.account(cellId)).toMatchObject({ tokens: { total: 5000 }, estimatedTokens: 0 });
      const error = await ask(door, chat('talks'), { headers: { 'x-session-id': 'fails' } });
      expect([error.status, error.text]).toEqual([401, '{"error":"*** is wrong"}']);
      expect(error.headers['content-encoding']).toBeUndefined();
    },
  );

  test('is estimated by its bytes where its answer is compressed in a way that nobody knows', async () => {
    await using provider = await startProvider((_, response) =>
      response
        .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'rot13' })
        .end('x'.repeat(4_000)),
    );
    await using place = await startGateway();
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    const answer = await ask(door, chat('talks'));
    expect([answer.text.length, answer.headers['content-encoding']]).toEqual([4_000, 'rot13']);
    expect(place.account(cellId).tokens.output).toBe(1_000);
  });

  test('is refused for anything but the models of the cell', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const refusals: [object | string, object, number, string][] = [
      [chat('talks'), { path: '/scripted/v1/files' }, 404, 'no_such_path'],
      [chat('talks'), { path: '/other/v1/chat/completions' }, 404, 'no_such_path'],
      ['', { method: 'GET' }, 404, 'no_such_path'],
      [chat('talks', { model: 'dearer' }), {}, 403, 'model_not_allowed'],
      [chat('talks', { model: 'toString' }), {}, 403, 'model_not_allowed'],
      ['{"model":"default"', {}, 400, 'invalid_body'],
      ['["default"]', {}, 400, 'invalid_body'],
      [chat('talks', { plugins: [{ id: 'web' }] }), {}, 403, 'reaches_elsewhere'],
      [chat('talks', { filler: 'x'.repeat(9 * 1024 * 1024) }), {}, 413, 'body_too_large'],
    ];
    for (const [body, options, status, code] of refusals) {
      const answer = await ask(door, body, options);
      expect([code, answer.status, JSON.parse(answer.text)]).toMatchObject([code, status, { error: { code } }]);
    }
    expect(it.model.ledger()).toEqual([]);
    expect(it.place.account(cellId)).toMatchObject({ requests: 0, active: 0 });
  });

  test('names the model that is asked for once: a second one in the same body is not seen by the provider either', async () => {
    await using provider = await startProvider((_, response) => response.writeHead(500).end());
    await using place = await startGateway();
    const { door } = await place.open([routeTo(provider.url)]);
    await ask(door, '{"model":"dearer","messages":[],"model":"default"}');
    expect(provider.requests.map(({ body }) => body)).toEqual(['{"model":"default","messages":[]}']);
  });
});

describe('the door of a cell', () => {
  test('is a port that takes only the token of the cell, and lies in no file', async () => {
    await using it = await stageGateway();
    const open = () => it.place.open(it.routes, 1_000_000, 'loopback');
    const [one, other] = [await open(), await open()];
    if (one.door.kind !== 'loopback' || other.door.kind !== 'loopback') throw new Error('a port was asked for');
    const asked = async (token: string) => (await ask(one.door, chat('talks'), { token })).status;
    expect(await asked(one.door.token)).toBe(200);
    expect(await asked(other.door.token)).toBe(401);
    expect(await asked('')).toBe(401);
    expect(existsSync(join(dirname(one.ledger), 'out'))).toBe(false);
    const { token } = one.door;
    const headers = { 'x-api-key': token, authorization: 'Bearer whatever' };
    expect((await ask(one.door, chat('talks'), { token: '', headers })).status).toBe(200);
    expect(it.place.account(one.cellId).requests).toBe(2);
    expect(it.place.account(other.cellId).requests).toBe(0);
  });

  test('is no proxy: it opens no tunnel and goes to no address', async () => {
    await using it = await stageGateway();
    const { door } = await it.place.open(it.routes);
    const target = new URL(it.model.url).host;
    for (const line of [`CONNECT ${target} HTTP/1.1`, `POST http://${target}/v1/chat/completions HTTP/1.1`]) {
      if (door.kind !== 'socket') throw new Error('a socket was asked for');
      const socket = connect(door.path);
      let said = '';
      socket.on('data', (chunk) => (said += chunk.toString())).on('error', () => undefined);
      socket.write(`${line}\r\nHost: ${target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      await once(socket, 'close');
      expect(said).not.toMatch(/^HTTP\/1.1 2/);
    }
    expect(it.model.ledger()).toEqual([]);
  });

  test.each([
    ['socket', /ENOENT/],
    ['loopback', /ECONNREFUSED/],
  ] as const)('that is closed ends what is under way, and its %s is gone', async (kind, gone) => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes, 1_000_000, kind);
    const answer = ask(door, chat('silent'));
    await waitUntil(() => it.model.ledger().length === 1);
    await it.place.gateway.close(cellId);
    await it.place.gateway.close(cellId);
    expect((await answer).whole).toBe(false);
    await waitUntil(() => it.model.ledger()[0]?.outcome === 'client-gone');
    await expect(begin(door, chat('talks'))).rejects.toThrow(gone);
    expect(it.place.gateway.accounts()).toEqual([]);
  });
});

describe('the budget of a cell', () => {
  test('is the end of its requests: the answer is 402 and says so, until it is raised', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes, 300);
    expect((await ask(door, chat('talks'))).status).toBe(200);
    expect((await ask(door, chat('talks'))).status).toBe(200);
    const refused = await ask(door, chat('talks'));
    expect(refused.status).toBe(402);
    expect(JSON.parse(refused.text)).toMatchObject({
      error: { code: 'token_budget_spent', message: expect.stringContaining('290 of 300 tokens are used') },
    });
    expect(it.place.account(cellId)).toMatchObject({ refused: true, budget: { total: 300, used: 290 } });
    expect(it.place.gateway.extend(cellId, 1000)).toMatchObject({ refused: false, budget: { total: 1000 } });
    expect((await ask(door, chat('talks'))).status).toBe(200);
    expect(it.place.gateway.figures()).toMatchObject([
      { requests: { answered: 3, refused: 1 }, tokens: { total: 435 } },
    ]);
  });

  test('is overspent by one request at most, also by requests at the same time', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes, 1000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(door, chat('talks', { max_tokens: 200 }))));
    const statuses = answers.map(({ status }) => status);
    await waitUntil(() => it.place.account(cellId).active === 0);
    expect(new Set(statuses)).toEqual(new Set([200, 402]));
    expect(it.place.account(cellId).budget).toEqual({ total: 1000, used: it.counted(), reserved: 0 });
    expect(it.counted()).toBe(145 * statuses.filter((status) => status === 200).length);
    expect(it.counted()).toBeLessThan(1000 + 145);
  });

  test.for([{ max_tokens: 1, max_completion_tokens: 50_000 }, { max_output_tokens: 1 }])(
    'is overspent by one request at most, also where one of its limits is not the limit of its answer: %j',
    async (limits) => {
      await using provider = await startProvider((_, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"usage":{"prompt_tokens":20,"completion_tokens":50000}}'),
      );
      await using place = await startGateway();
      const { door } = await place.open([routeTo(provider.url)], 10_000);
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(door, chat('talks', limits))));
      expect(answers.filter(({ status }) => status === 402)).toHaveLength(9);
      expect(provider.requests).toHaveLength(1);
    },
  );

  test('goes on from what was used when another gateway takes the cell over, also of requests that were cut off', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes, 10_000);
    await ask(door, chat('talks'));
    const answer = ask(door, chat('silent'));
    await waitUntil(() => it.model.ledger().length === 2);
    await it.place.gateway[Symbol.asyncDispose]();
    await answer;
    const again = it.place.afterDeath();
    await again.open({ cellId, tokenBudget: 10_000, routes: it.routes });
    const [account] = again.accounts();
    expect(account).toMatchObject({ requests: 2, budget: { total: 10_000, reserved: 0 } });
    expect(account?.tokens.total).toBe(145 + (account?.estimatedTokens ?? 0));
    expect(account?.estimatedTokens).toBeGreaterThan(20);
  });
});

test('what lies on the disk holds no key', async () => {
  await using it = await stageGateway();
  const { door, ledger: file } = await it.place.open(it.routes);
  await ask(door, chat('talks'));
  const ledger = await readFile(file, 'utf8');
  expect(ledger).toContain('scripted/default');
  expect(ledger).not.toContain(realKey);
});
