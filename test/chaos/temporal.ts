import { startOwnTemporal } from '../support/own-temporal.ts';
import { type Relay, startRelay } from '../support/relay.ts';

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
  const server = stack.use(await startOwnTemporal(onStep));
  const { address } = server;
  const way = stack.use(await startRelay(address));
  const owned = stack.move();
  return {
    address,
    way,
    async killAndRestart() {
      await server.kill();
      await server.restart();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
