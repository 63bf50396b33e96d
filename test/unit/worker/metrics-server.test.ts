import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { startMetricsServer } from '../../../src/worker/metrics-server.ts';

describe('the metrics server', () => {
  test('serves its two paths, with or without a query', async () => {
    await using server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, source);
    expect(await firstLine(server.url, 'GET /metrics?name[]=cells_active HTTP/1.1')).toBe('HTTP/1.1 200 OK');
    expect(await firstLine(server.url, 'GET /healthz HTTP/1.1')).toBe('HTTP/1.1 200 OK');
  });

  test.each(['//', '//:', '/\\', '/elsewhere', '*', 'http://', 'http://[/metrics'])(
    'answers 404 to a request for %s, and goes on serving',
    async (target) => {
      await using server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, source);
      expect(await firstLine(server.url, `GET ${target} HTTP/1.1`)).toBe('HTTP/1.1 404 Not Found');
      expect(await firstLine(server.url, 'GET /metrics HTTP/1.1')).toBe('HTTP/1.1 200 OK');
    },
  );
});

const source = { metrics: () => Promise.resolve('cells_active 0\n'), health: () => ({ healthy: true }) };

/** Written by hand: what a client would not send. */
async function firstLine(url: string, request: string): Promise<string | undefined> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`${request}\r\nHost: here\r\nConnection: close\r\n\r\n`);
  return (await text(socket)).split('\r\n')[0];
}
