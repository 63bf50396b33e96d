import { join } from 'node:path';
import { requiredSearchAttributes } from '../../src/domain/search-attributes.ts';
import { type DevServer, startDevServer } from '../../src/temporal/dev-server.ts';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A Temporal server that keeps its database in a file, and the way to it that workers take. */
export interface ChaosTemporal extends AsyncDisposable {
  /** The server itself, for who only looks on. */
  address: string;
  /** The way of the workers, which can be cut. */
  way: Relay;
  /** Kills it, and starts it again on its database and its port. */
  killAndRestart(): Promise<void>;
}

export async function startChaosTemporal(onStep: (line: string) => void): Promise<ChaosTemporal> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const signal = new AbortController().signal;
  const found = await findTemporal({ address: undefined, onStep, signal });
  if (found.kind === 'address') throw new Error('a server that is given is not to be killed');
  const start = (port: number): Promise<DevServer> =>
    startDevServer({
      binary: found.path,
      port,
      databaseFile: join(path, 'temporal.db'),
      logFile: join(path, 'temporal.log'),
      searchAttributes: requiredSearchAttributes,
      signal,
    });
  let server = await start(0);
  stack.defer(() => server[Symbol.asyncDispose]());
  const { address } = server;
  const way = stack.use(await startRelay(address));
  const owned = stack.move();
  return {
    address,
    way,
    async killAndRestart() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      server = await start(Number(address.split(':')[1]));
      if (server.address !== address) throw new Error(`the port of ${address} was taken meanwhile`);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
