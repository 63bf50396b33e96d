import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Failed } from '../../../src/gateway/refusal-count.ts';
import { ask, begin, chat, routeTo, startGateway, startProvider } from '../../support/gateway.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a fault of the gateway itself', () => {
  test('is told with its cause, once for many requests of a cell, and is an error of its own to the cell', async () => {
    const failed: Failed[] = [];
    await using provider = await startProvider((_, response) => response.end());
    await using place = await startGateway({}, { failed: (failure) => failed.push(failure) });
    const { cellId, door, ledger } = await place.open([routeTo(provider.url)]);
    // Nothing can be written down there.
    await mkdir(ledger);
    for (let count = 0; count < 3; count += 1) {
      const answer = await ask(door, chat('talks'));
      expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('gateway_failed')]);
    }
    const error: unknown = expect.objectContaining({ code: 'EISDIR', path: ledger });
    expect(failed).toEqual([{ cellId, error, count: 1 }]);
    await place.gateway.close(cellId);
    expect(failed).toEqual([expect.anything(), { cellId, error, count: 2 }]);
    expect(provider.requests).toEqual([]);
  });

  test('is none where a provider cuts its answer, where its answer cannot be unpacked, and where the client leaves', async () => {
    const failed: Failed[] = [];
    await using provider = await startProvider((request, response) => {
      const packed = request.headers['x-session-id'] === 'packed';
      response.writeHead(200, packed ? { 'content-encoding': 'gzip' } : {});
      response.write('no end', () => {
        if (request.headers['x-session-id'] !== 'waits') response.destroy();
      });
    });
    await using place = await startGateway({}, { failed: (failure) => failed.push(failure) });
    const { cellId, door } = await place.open([routeTo(provider.url)]);
    for (const session of ['cut', 'packed'])
      expect((await ask(door, chat('talks'), { headers: { 'x-session-id': session } })).whole).toBe(false);
    const leaving = new AbortController();
    const waits = { headers: { 'x-session-id': 'waits' }, signal: leaving.signal };
    const response = await begin(door, chat('talks'), waits);
    response.on('error', () => undefined);
    await once(response, 'data');
    leaving.abort();
    await waitUntil(() => place.account(cellId).active === 0);
    expect(failed).toEqual([]);
    expect(place.gateway.figures()).toMatchObject([{ requests: { broken: 2, left: 1 } }]);
  });
});
