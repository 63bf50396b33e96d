import { once } from 'node:events';
import { type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../domain/user-error.ts';

/** What `/healthz` says: 200 while `healthy`, else 503. */
export interface Health {
  healthy: boolean;
  [detail: string]: unknown;
}

export interface MetricsServer extends AsyncDisposable {
  url: string;
}

/**
 * Serves `GET /metrics` in Prometheus form and `GET /healthz`.
 *
 * @throws UserError `InvalidConfiguration` when the address cannot be bound.
 */
export async function startMetricsServer(
  address: { host: string; port: number },
  source: { metrics(): Promise<string>; health(): Health },
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    // Not parsed as a URL: what is none throws, and a throw in a listener ends the worker.
    const path = request.url?.split('?', 1)[0];
    if (request.method !== 'GET') return reply(response, 405, 'only GET is served here\n');
    if (path === '/healthz') {
      const health = source.health();
      return reply(response, health.healthy ? 200 : 503, `${JSON.stringify(health)}\n`, 'application/json');
    }
    if (path !== '/metrics') return reply(response, 404, 'there are /metrics and /healthz\n');
    source.metrics().then(
      (text) => reply(response, 200, text, 'text/plain; version=0.0.4; charset=utf-8'),
      (error: unknown) => reply(response, 500, `${String(error)}\n`),
    );
  });
  await listen(server, address);
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    url: `http://${address.host}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new UserError(
      'InvalidConfiguration',
      `the metrics cannot be served at ${host}:${port}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        try: 'set CELLS_METRICS_ADDRESS to another address, or to port 0 for any free one',
        cause,
      },
    );
  }
}

function reply(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type });
  response.end(text);
}
