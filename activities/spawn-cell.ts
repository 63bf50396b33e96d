import { bootCell } from '../src/cell/boot.ts';
import type { CellHost } from '../src/cell/host.ts';
import { RepositoryError, RepositoryNotAllowed } from '../src/git/errors.ts';
import type { HostActivities, SpawnInput, SpawnedCell } from './contract.ts';
import { failure, messageOf } from './failure.ts';
import { untilHostCloses } from './until-host-closes.ts';

/**
 * Makes the cell: port, worktree, server. A second run finds what the first has made; a failure leaves nothing.
 * One that is not the request's fault speaks against the host.
 */
export const createSpawnCell =
  (host: CellHost): HostActivities['spawnCell'] =>
  (input: SpawnInput): Promise<SpawnedCell> =>
    untilHostCloses(host, input, async (signal) => {
      try {
        const cell = await bootCell(host, input, signal);
        host.spawns.succeeded();
        return cell;
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof RepositoryNotAllowed) {
          const { workflowId, runId } = input.owner;
          const refusal = { cellId: input.cellId, workflowId, runId, field: 'repository', why: error.message };
          await host.audit.record({ event: 'refused', what: 'repository', ...refusal });
        }
        if (error instanceof RepositoryError) throw failure('RepositoryError', error.message, { cause: error });
        host.spawns.failed(input.cellId);
        throw failure('SpawnFailed', messageOf(error), { cause: error });
      }
    });
