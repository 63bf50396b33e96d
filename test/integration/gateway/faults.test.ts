import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type Socket, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ask, begin, chat, routeTo, stageGateway, startGateway, startProvider } from '../../support/gateway.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a fault of the provider', () => {
  test('is passed on and costs nothing', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const answer = await ask(door, chat('fails'));
    expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('out of order')]);
    expect(it.place.account(cellId)).toMatchObject({ requests: 1, tokens: { total: 0 } });
    expect(it.place.gateway.figures()).toMatchObject([{ requests: { error: 1 } }]);
  });

  test('is passed on as far as it came when its body stalls or breaks', async () => {
    await using provider = await startProvider((request, response) => {
      response.writeHead(request.headers['x-session-id'] === 'stalls' ? 503 : 500, { 'content-length': '1000' });
      response.write('{"error":"out of or', () => {
        if (response.statusCode === 500) request.socket.end();
      });
    });
    await using place = await startGateway({ silenceMs: 200 });
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    for (const [session, status] of [
      ['stalls', 503],
      ['breaks', 500],
    ] as const) {
      const answer = await ask(door, chat('talks'), { headers: { 'x-session-id': session } });
      expect([answer.status, answer.text]).toEqual([status, '{"error":"out of or']);
    }
    expect(place.account(cellId).tokens.total).toBe(0);
    expect(place.gateway.figures()).toMatchObject([{ requests: { error: 2 } }]);
  });

  test('costs nothing either when it is told before the request has been read', async () => {
    const server = createServer((socket) => {
      let read = 0;
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => {
          // The end of the answer comes when all of the request is there, which the gateway has sent by then.
          if (read > 7_000_000) return;
          if (read === 0) {
            socket.write('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{');
            // For so long the gateway cannot send the rest: the head of the answer is there before the request has been sent.
            socket.pause();
            setTimeout(() => socket.resume(), 100);
          }
          read += chunk.length;
          // Not at once, so that what is counted when the request has been sent would have been counted.
          if (read > 7_000_000) setTimeout(() => socket.end('}'), 100);
        });
    });
    await using _server = server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
    await using place = await startGateway();
    const { cellId, door } = await place.open([routeTo(`http://127.0.0.1:${address.port}/v1`)], 10_000_000);
    const answer = await ask(door, chat('talks', { max_tokens: 10, filler: 'word '.repeat(1_400_000) }));
    expect([answer.status, answer.text]).toEqual([401, '{}']);
    expect(place.account(cellId)).toMatchObject({ requests: 1, tokens: { total: 0 }, budget: { used: 0 } });
  });

  test('that cuts a stream cuts it for the client, and what came is estimated', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const answer = await ask(door, chat('cut'));
    expect([answer.status, answer.whole]).toEqual([200, false]);
    await waitUntil(() => it.place.account(cellId).active === 0);
    const { tokens, estimatedTokens } = it.place.account(cellId);
    expect(tokens).toMatchObject({ output: 30 });
    expect(estimatedTokens).toBe(tokens.total);
    expect(it.place.gateway.figures()).toMatchObject([{ requests: { broken: 1 } }]);
  });

  test('that nobody answers, or that says nothing, is told as one', async () => {
    await using it = await stageGateway({ silenceMs: 200 });
    const { door } = await it.place.open([...it.routes, routeTo('http://127.0.0.1:1/v1', { provider: 'nowhere' })]);
    const path = '/nowhere/v1/chat/completions';
    const unreachable = await ask(door, chat('talks'), { path });
    expect([unreachable.status, unreachable.text]).toEqual([502, expect.stringContaining('provider_unreachable')]);
    const mute = await ask(door, chat('mute'));
    expect([mute.status, mute.text]).toEqual([504, expect.stringContaining('provider_silent')]);
    const silent = await ask(door, chat('silent'));
    expect([silent.status, silent.whole]).toEqual([200, false]);
  });

  test('of an answer without end is cut at the limit', async () => {
    await using it = await stageGateway({ totalMs: 300 });
    const { door } = await it.place.open(it.routes);
    const answer = await ask(door, chat('slow'));
    expect([answer.status, answer.whole]).toEqual([200, false]);
  });

  test('of an answer without end that the client reads no more is cut as well, and holds no room', async () => {
    await using provider = await startProvider((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const more = setInterval(() => response.write(`: ${'x'.repeat(100_000)}\n\n`), 1);
      response.on('close', () => clearInterval(more));
    });
    await using place = await startGateway({ totalMs: 500 });
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    const response = (await begin(door, chat('talks'))).on('error', () => undefined);
    await once(response, 'data');
    response.pause();
    await waitUntil(() => place.account(cellId).active === 0);
    expect(place.gateway.figures()).toMatchObject([{ requests: { broken: 1 } }]);
    response.destroy();
  });

  test('that sends elsewhere is not followed', async () => {
    await using elsewhere = await startProvider((_, response) => response.end('{}'));
    await using provider = await startProvider((_, response) =>
      response.writeHead(307, { location: `${elsewhere.url}/chat/completions` }).end(),
    );
    await using place = await startGateway();
    const { door } = await place.open([routeTo(provider.url)]);
    const answer = await ask(door, chat('talks'));
    expect([answer.status, answer.headers.location]).toEqual([502, undefined]);
    expect(elsewhere.requests).toEqual([]);
  });

  test('of a connection that was kept too long is not seen', async () => {
    let kept = 0;
    await using provider = await startProvider((request, response) => {
      if (response.socket !== null) response.socket.once('close', () => (kept += 1));
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"usage":{"prompt_tokens":1,"completion_tokens":1}}');
      // Closed as soon as the answer is out, without a word in its headers.
      response.once('close', () => request.socket.end());
    });
    await using place = await startGateway();
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    for (let count = 0; count < 5; count += 1)
      expect((await ask(door, chat('talks', { stream: false }))).status).toBe(200);
    expect(place.account(cellId).tokens.total).toBe(10);
    expect(kept).toBeGreaterThan(0);
  });
});

describe('connections that are kept', () => {
  const answer = '{"usage":{"prompt_tokens":1,"completion_tokens":1}}';
  const answerOn = (response: ServerResponse) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer);

  test('and were all cut meanwhile are not seen: the request goes by a new one', async () => {
    const kept = new Set<Socket>();
    const first: ServerResponse[] = [];
    await using provider = await startProvider((request, response) => {
      if (kept.has(request.socket)) return void request.socket.resetAndDestroy();
      if (kept.size === 4) return void answerOn(response);
      kept.add(request.socket);
      // Only when all four are there: each has a connection of its own.
      if (first.push(response) === 4) first.forEach(answerOn);
    });
    await using place = await startGateway();
    const { door } = await place.open([routeTo(provider.url)]);
    const asks = () => ask(door, chat('talks', { stream: false, max_tokens: 10 }));
    await Promise.all([asks(), asks(), asks(), asks()]);
    expect((await asks()).status).toBe(200);
  });

  test('and are cut only while the provider works on a request do not send that a second time, and it counts', async () => {
    let asked = 0;
    await using provider = await startProvider((request, response) => {
      asked += 1;
      if (asked === 1) answerOn(response);
      // What was cut before would be noticed at once.
      else setTimeout(() => request.socket.resetAndDestroy(), 1_500);
    });
    await using place = await startGateway();
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    const asks = () => ask(door, chat('talks', { stream: false }));
    expect((await asks()).status).toBe(200);
    const broken = await asks();
    expect([broken.status, broken.text]).toEqual([502, expect.stringContaining('provider_unreachable')]);
    expect(provider.requests).toHaveLength(2);
    expect(place.account(cellId).estimatedTokens).toBeGreaterThan(0);
  });
});

describe('a client that goes away', () => {
  test('ends the request at the provider', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const leaving = new AbortController();
    const response = await begin(door, chat('slow'), { signal: leaving.signal });
    response.on('error', () => undefined);
    await once(response, 'data');
    leaving.abort();
    await waitUntil(() => it.model.ledger()[0]?.outcome === 'client-gone');
    await waitUntil(() => it.place.account(cellId).active === 0);
    expect(it.place.account(cellId).estimatedTokens).toBeGreaterThan(20);
    expect(it.place.gateway.figures()).toMatchObject([{ requests: { left: 1 } }]);
  });

  test('while it reads slowly holds the provider back, and the gateway keeps nothing', async () => {
    let written = 0;
    let drained = true;
    await using provider = await startProvider((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = `data: ${JSON.stringify({ choices: [{ delta: { content: 'x'.repeat(64 * 1024) } }] })}\n\n`;
      const write = () => {
        while (written < 2_000 && drained) {
          written += 1;
          drained = response.write(event);
        }
        if (written === 2_000) return void response.end();
        response.once('drain', () => {
          drained = true;
          write();
        });
      };
      write();
    });
    await using place = await startGateway();
    const { door } = await place.open([routeTo(provider.url)]);
    const response = await begin(door, chat('talks'));
    let before = -1;
    // It stops when the buffers of the connections are full.
    await waitUntil(async () => {
      const stuck = before === written && !drained;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return stuck;
    });
    expect(written).toBeLessThan(1_000);
    let bytes = 0;
    for await (const chunk of response) bytes += Buffer.byteLength(chunk as Buffer); // a response without an encoding
    expect(bytes).toBeGreaterThan(2_000 * 64 * 1024);
  });
});

describe('a provider that asks to be left alone', () => {
  test('is left alone by all cells of the model, which wait and say so, and then are answered', async () => {
    await using it = await stageGateway();
    const [one, other] = [await it.place.open(it.routes), await it.place.open(it.routes)];
    const first = ask(one.door, chat('limited'), { headers: { 'x-session-id': 'one' } });
    await waitUntil(() => it.place.account(one.cellId).waiting !== null);
    const second = ask(other.door, chat('talks'));
    await waitUntil(() => it.place.account(other.cellId).waiting !== null);
    const { waiting } = it.place.account(other.cellId);
    expect(waiting).toEqual({ model: 'scripted/default', until: expect.any(Number) });
    expect(it.place.gateway.figures()).toMatchObject([{ cooldowns: 1, cooldownUntil: expect.any(Number) }]);
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
    const [refused, ...answered] = it.model.ledger();
    expect(refused?.outcome).toBe('error');
    expect(answered.map(({ outcome }) => outcome)).toEqual(['finished', 'finished']);
    for (const { at } of answered) expect(at - (refused?.at ?? 0)).toBeGreaterThanOrEqual(1_000);
    expect(it.place.account(other.cellId).waiting).toBeNull();
    expect(it.place.account(one.cellId)).toMatchObject({ requests: 1, tokens: { total: 145 } });
  });

  test('for longer than a request is held back is told to the client, and nobody asks it again', async () => {
    await using it = await stageGateway();
    const { cellId, door } = await it.place.open(it.routes);
    const answers = [await ask(door, chat('overloaded')), await ask(door, chat('talks'))];
    for (const { status, headers, text } of answers) {
      expect([status, text]).toEqual([429, expect.stringContaining('cooling_down')]);
      expect(Number(headers['retry-after'])).toBeGreaterThan(3_500);
    }
    expect(it.model.ledger()).toHaveLength(1);
    expect(it.place.account(cellId)).toMatchObject({ tokens: { total: 0 }, budget: { used: 0, reserved: 0 } });
  });

  test('without end is left alone for a day, and its clients are told', async () => {
    await using provider = await startProvider((_, response) =>
      response.writeHead(429, { 'retry-after': 'Infinity' }).end(),
    );
    await using place = await startGateway();
    const { door } = await place.open([routeTo(provider.url)]);
    for (const { status, headers } of [await ask(door, chat('talks')), await ask(door, chat('talks'))]) {
      expect(status).toBe(429);
      expect(Number(headers['retry-after'])).toBeGreaterThan(86_000);
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(86_400);
    }
    expect(provider.requests).toHaveLength(1);
  });

  test('and then for longer, while some still wait, is told to those as well', async () => {
    let asked = 0;
    await using provider = await startProvider((_, response) => {
      asked += 1;
      response.writeHead(429, { 'retry-after': asked === 1 ? '1' : '3600' }).end();
    });
    await using place = await startGateway({ longestWaitMs: 5_000 });
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    const waits = () => ask(door, chat('talks', { max_tokens: 10 }));
    const first = waits();
    await waitUntil(() => place.account(cellId).waiting !== null);
    for (const { status, text } of await Promise.all([first, waits(), waits(), waits(), waits()]))
      expect([status, text]).toEqual([429, expect.stringContaining('cooling_down')]);
    expect(place.account(cellId)).toMatchObject({ waiting: null, budget: { used: 0, reserved: 0 } });
  });
});
