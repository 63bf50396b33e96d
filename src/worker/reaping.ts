import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { MetricCounter } from '@temporalio/common';
import { cellIdOf } from '../cell/cell-id.ts';
import type { CellHost } from '../cell/host.ts';
import { type IsOpen, findUnowned, releaseUnowned } from '../cell/reaper.ts';
import { expireArtifacts } from '../cell/retention.ts';
import { repeat } from './repeat.ts';

/** How often the reaper looks, milliseconds. */
const interval = 60_000;

/**
 * Asks Temporal whether a run is open, and still lives in this very cell: a run whose host was lost goes on in another.
 * Answers null while Temporal cannot say.
 */
export function askTemporal(client: Client): IsOpen {
  return async (owner) => {
    try {
      const { status, memo } = await client.workflow.getHandle(owner.workflowId, owner.runId).describe();
      const open = status.name === 'RUNNING' || status.name === 'PAUSED';
      return open && livesIn(memo, owner);
    } catch (error) {
      return error instanceof WorkflowNotFoundError ? false : null;
    }
  };
}

/** The memo names the cell that the run has come to: by its number, or by its id where the run began under an earlier version. */
function livesIn(memo: Record<string, unknown> | undefined, owner: Parameters<IsOpen>[0]): boolean {
  const respawn = memo?.['respawn'];
  if (typeof respawn === 'number') return owner.respawn >= respawn;
  return (memo?.['cellId'] ?? cellIdOf(owner)) === cellIdOf(owner);
}

/** Looks at once, and then every minute until it is disposed; the first look is over when this returns. */
export async function startReaping(
  host: CellHost,
  client: Client,
  options: { reaped: MetricCounter; artifactRetentionMs: number; auditRetentionMs: number },
): Promise<AsyncDisposable> {
  const isOpen = askTemporal(client);
  const reap = async () => {
    for (const unowned of await findUnowned(host, isOpen)) {
      host.log.info({ ...unowned }, 'releasing what nobody owns any more');
      if (await releaseUnowned(host, unowned)) options.reaped.add(1, { resource: unowned.resource });
    }
    await host.audit.expire(options.auditRetentionMs);
    const { leases } = await host.leases.list();
    await expireArtifacts(
      host.stateDirectory,
      options.artifactRetentionMs,
      new Set(leases.map(({ cellId }) => cellId)),
    );
  };
  const look = () => reap().catch((error: unknown) => host.log.warn({ error }, 'the reaper could not look'));
  await look();
  return repeat(look, interval);
}
