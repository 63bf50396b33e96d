import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { providers } from '../../../../src/cli/doctor/provider-check.ts';
import { readConfig } from '../../../../src/config.ts';

test.for([
  [
    'a model that is held back, and what keeps it',
    [outageOf(2)],
    /^held back: p\/m since 2026-01-01T\S+, 2 prompts wait, next try 2026\S+ \(HTTP 503\)$/,
  ],
  ['that nothing is held back', [], /^no prompts are held back$/],
] as const)('doctor says %s', async ([, outages, detail]) => {
  await using worker = await healthz({ healthy: true, outages });
  expect((await providers(configOf(worker.address))).detail).toMatch(detail);
});

test('doctor has no worry about a worker that does not run', async () => {
  await using worker = await healthz({});
  const { address } = worker;
  await worker[Symbol.asyncDispose]();
  expect(await providers(configOf(address))).toEqual({
    verdict: 'ok',
    detail: `no worker answers at http://${address}/healthz: what it holds back is not known`,
  });
});

function outageOf(waiting: number) {
  const at = Date.UTC(2026, 0, 1);
  return { model: 'p/m', outage: { since: at, reason: 'HTTP 503', nextTryAt: at + 1_000 }, waiting };
}

const configOf = (address: string) => readConfig({ CELLS_METRICS_ADDRESS: address }, { dotenv: null });

async function healthz(answer: object): Promise<AsyncDisposable & { address: string }> {
  const server = createServer((_, response) => void response.end(JSON.stringify(answer)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
