import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What waits for a word: the agent in its first round, its tests, the agent that repairs. */
export const gates = ['execute', 'test', 'repair'] as const;
export type Gate = (typeof gates)[number];

/** The gates of cells: whoever asks for one is kept waiting until it is opened. A way that leads into every sandbox, and to every host. */
export interface Gatekeeper extends AsyncDisposable {
  /** `<host>:<port>`, for the targets that a cell may reach. */
  target: string;
  /** Below it are the gates of a cell. */
  urlOf(cell: string): string;
  isReached(cell: string, gate: Gate): boolean;
  /** Lets through whoever waits there and whoever comes. May be done twice. */
  open(cell: string, gate: Gate): void;
}

export async function startGatekeeper(): Promise<Gatekeeper> {
  const known = new Map<string, { reached: boolean; opened: PromiseWithResolvers<void> }>();
  const gateAt = (path: string) => {
    const gate = known.get(path) ?? { reached: false, opened: Promise.withResolvers<void>() };
    known.set(path, gate);
    return gate;
  };
  const server = createServer((request, response) => {
    const gate = gateAt(request.url ?? '');
    gate.reached = true;
    void gate.opened.promise.then(() => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target = `localhost:${port}`;
  return {
    target,
    urlOf: (cell) => `http://${target}/${cell}`,
    isReached: (cell, gate) => gateAt(`/${cell}/${gate}`).reached,
    open: (cell, gate) => gateAt(`/${cell}/${gate}`).opened.resolve(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}
