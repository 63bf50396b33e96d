import { dirname } from 'node:path';
import type { TeardownReport } from '../../activities/contract.ts';
import { takesNothing } from './create-file.ts';
import { endProcesses } from './end-processes.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { hostPaths } from './paths.ts';
import { releasePorts } from './ports.ts';
import { releaseWorktree } from './release-worktree.ts';
import { type ServerPlace, serverPlace } from './server-place.ts';
import { discardSoon } from './trash.ts';

/**
 * Releases everything that a cell owns, and its lease last. Idempotent: a cell that never was, or is gone, is a success.
 * One release that fails does not stop the others; then the lease stays, so that the reaper tries again.
 *
 * @param why what the audit log says of it. Default: its run is over.
 * @throws AggregateError with every release that failed.
 */
export async function teardownCell(
  host: CellHost,
  cellId: string,
  why = 'its run came to its end',
): Promise<TeardownReport> {
  const found = await host.leases.read(cellId);
  const lease = found.kind === 'lease' ? found.lease : null;
  // Whoever is still at a step of this cell, a frozen worker say, finds itself shut out: by this, or in the end by finding no lease.
  if (lease)
    await host.leases.raiseGeneration(cellId).catch((error: unknown) => {
      if (!takesNothing(error)) throw error;
      host.log.warn({ cellId, error }, 'the disk takes nothing: the cell is released without a note of it');
    });
  const report: TeardownReport = { released: [], alreadyGone: [] };
  const errors: unknown[] = [];
  const place = await serverPlace(host.stateDirectory, cellId);
  for (const [kind, release] of releases(host, cellId, lease, place)) {
    try {
      ((await release()) ? report.released : report.alreadyGone).push(kind);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0)
    throw new AggregateError(errors, `cell ${cellId} was not released whole: ${errors.map(String).join('; ')}`);
  ((await host.leases.remove(cellId)) ? report.released : report.alreadyGone).push('lease');
  if (lease) {
    const { workflowId, runId } = lease.owner;
    await host.audit.record({ event: 'ended', cellId, workflowId, runId, why, released: report.released });
  }
  return report;
}

/** In the reverse order of their making. */
function releases(
  host: CellHost,
  cellId: string,
  lease: Lease | null,
  { mark, home, worktree }: ServerPlace,
): [string, () => Promise<boolean>][] {
  const runtime = lease?.runtime ?? host.defaultRuntime;
  return [
    ['process', async () => (await endProcesses(host, { cellId, runtime })) > 0],
    ['port', () => releasePorts(hostPaths(host.stateDirectory).ports, mark)],
    ['worktree', () => releaseWorktree(host, lease?.gitDirectory ?? null, worktree)],
    // With a server that was adopted goes all that it had of its own.
    ['home', () => discardSoon(host.stateDirectory, mark === cellId ? home : dirname(home))],
  ];
}
