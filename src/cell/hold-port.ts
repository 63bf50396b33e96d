import type { IsolationName } from '../domain/request.ts';
import { PortTaken } from '../runtimes/port-holder.ts';
import type { CellHost } from './host.ts';
import { hostPaths } from './paths.ts';
import { leasePort, releasePort } from './ports.ts';

/** How often another port is tried when a stranger takes the one between our choice and our bind. */
const portTries = 5;

export interface PortWanted {
  runtime: IsolationName;
  /** What the runtime knows the cell by, or the server that waits for one: in its name the port is leased. */
  mark: string;
  /** A directory that goes with it. */
  drafts: string;
  /** Told of each port that is chosen, before it is bound. */
  chosen(port: number): Promise<unknown>;
}

/**
 * Chooses a port and has it bound. What is taken is deferred to `made`.
 *
 * @throws PortRangeExhausted, PortTaken
 */
export async function holdFreePort(
  host: CellHost,
  { runtime, mark, drafts, chosen }: PortWanted,
  made: AsyncDisposableStack,
): Promise<number> {
  const { ports: directory } = hostPaths(host.stateDirectory);
  const taken = new Set<number>();
  for (;;) {
    const { port } = await leasePort({ range: host.ports, directory, drafts, cellId: mark, except: taken });
    made.defer(async () => void (await releasePort(directory, port, mark)));
    await chosen(port);
    try {
      await host.runtimes[runtime].runtime.holdPort(mark, port);
      return port;
    } catch (error) {
      taken.add(port);
      if (!(error instanceof PortTaken) || taken.size >= portTries) throw error;
      host.log.warn({ mark, port }, 'the port was taken between choice and bind; trying the next');
    }
  }
}
