import { join } from 'node:path';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect, type Socket } from 'node:net';
import { clearLockedPorts } from 'get-port';
import waitFor from 'p-wait-for';
import { requiredSearchAttributes } from '../../src/domain/search-attributes.ts';
import { type DevServer, startDevServer } from '../../src/temporal/dev-server.ts';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { isRunning } from './processes.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A Temporal server that a test may kill: what it knows lies in a file. */
export interface OwnTemporal extends AsyncDisposable {
  address: string;
  /** Ends it without any notice, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again, on its file and its port. */
  restart(): Promise<void>;
}

/** @param onStep told where the binary comes from */
export async function startOwnTemporal(onStep: (line: string) => void = () => undefined): Promise<OwnTemporal> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const { signal } = new AbortController();
  const found = await findTemporal({ address: undefined, onStep, signal });
  if (found.kind === 'address') throw new Error('a binary was asked for');
  const start = (port: number) =>
    startDevServer({
      binary: found.path,
      port,
      logFile: join(directory.path, 'temporal.log'),
      databaseFile: join(directory.path, 'temporal.db'),
      searchAttributes: requiredSearchAttributes,
      signal,
    });
  // Below those that the kernel gives to connections: the port is to be free when the server comes back.
  let server: DevServer = await start(20_000 + Math.floor(Math.random() * 10_000));
  const { address } = server;
  stack.defer(() => server[Symbol.asyncDispose]());
  const owned = stack.move();
  return {
    address,
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      await waitFor(async () => !(await isRunning(server.pid)));
    },
    async restart() {
      // The library keeps a port that it proposed from being proposed again.
      clearLockedPorts();
      server = await start(Number(address.split(':')[1]));
      if (server.address !== address) throw new Error(`somebody took the port of ${address}`);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A wire between a worker and its server. */
export interface Wire extends AsyncDisposable {
  address: string;
  /** Nothing passes any more, and nobody is told: connections stay open. */
  cut(): void;
  mend(): void;
}

/** Leads connections to an address of this machine, until it is cut. */
export async function startWire(to: string): Promise<Wire> {
  const ways = new Map<Socket, Socket>();
  let whole = true;
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: Number(to.split(':')[1]) });
    lead(near, far);
    lead(far, near);
  });
  function lead(one: Socket, two: Socket): void {
    ways.set(one, two);
    if (whole) one.pipe(two);
    one.on('error', () => two.destroy());
    one.on('close', () => {
      ways.delete(one);
      two.destroy();
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return {
    address: `127.0.0.1:${port}`,
    cut() {
      whole = false;
      for (const [one, two] of ways) one.unpipe(two);
    },
    mend() {
      whole = true;
      for (const [one, two] of ways) one.pipe(two);
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of ways.keys()) socket.destroy();
      await closed;
    },
  };
}
