import { PortTaken } from '../runtimes/port-holder.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellPaths, hostPaths } from './paths.ts';
import { leasePort, releasePort } from './ports.ts';

/** How often another port is tried when a stranger takes the one between our choice and our bind. */
const portTries = 5;

/**
 * Chooses a port for a cell and has it bound, by what the runtime knows the cell by. The lease of the cell names it before.
 * What is taken is deferred to `made`.
 *
 * @throws PortRangeExhausted, PortTaken
 */
export async function holdFreePort(
  host: CellHost,
  { cellId, runtime }: Pick<Lease, 'cellId' | 'runtime'>,
  mark: string,
  made: AsyncDisposableStack,
): Promise<number> {
  const { ports: directory } = hostPaths(host.stateDirectory);
  const { directory: drafts } = cellPaths(host.stateDirectory, cellId);
  const taken = new Set<number>();
  for (;;) {
    const { port } = await leasePort({ range: host.ports, directory, drafts, cellId, except: taken });
    made.defer(async () => void (await releasePort(directory, port, cellId)));
    await host.leases.update(cellId, { port });
    try {
      await host.runtimes[runtime].runtime.holdPort(mark, port);
      return port;
    } catch (error) {
      taken.add(port);
      if (!(error instanceof PortTaken) || taken.size >= portTries) throw error;
      host.log.warn({ cellId, port }, 'the port was taken between choice and bind; trying the next');
    }
  }
}
