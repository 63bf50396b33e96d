import type { ReviveInput, SpawnedCell } from '../../activities/contract.ts';
import { version } from '../domain/version.ts';
import { bootOnFreePort, findHealthy } from './boot.ts';
import type { CellHost } from './host.ts';
import { limitsOf } from './limits.ts';
import { openCell } from './open-cell.ts';

/**
 * Gives a cell a new server on the same worktree and the same home: OpenCode keeps its sessions there, so the agent goes on
 * where it was. What is left of the old server is ended first. One that is well again is kept, unless the input says otherwise.
 *
 * @throws CellGone when the worktree or the lease is gone: then there is nothing to revive.
 */
export async function reviveCell(host: CellHost, input: ReviveInput, signal: AbortSignal): Promise<SpawnedCell> {
  const { lease, worktree, baseCommit } = await openCell(host, input.cellId);
  const known = input.replace ? null : await findHealthy(host, lease, signal);
  if (known) return known;
  await using made = new AsyncDisposableStack();
  const limits = limitsOf(host, input.request, lease.runtime, input.memory);
  await host.leases.update(input.cellId, { limits });
  const server = await bootOnFreePort(host, input, { ...lease, worktree, limits }, made, signal);
  await host.leases.update(input.cellId, { state: 'ready' });
  made.move();
  return {
    cellId: input.cellId,
    port: server.port,
    worktree,
    baseCommit,
    versions: { agentCells: version, opencode: server.version },
  };
}
