import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { hostTaskQueue } from '../domain/names.ts';
import { UserError } from '../domain/user-error.ts';
import type { Logger } from '../telemetry/log.ts';
import { askTemporal } from '../temporal/faults.ts';

/** The number of Temporal's `TaskQueueType`. */
const activityQueue = 2;

/** A poll lasts a minute at most, so a worker that lives has polled anew within this time, milliseconds. */
const provesLife = 75_000;
const lookEvery = 2_000;

/** What makes a worker known to others that claim to be the same host. */
export interface HostIdentity {
  hostId: string;
  /** The secret id of its state directory, of which others see a hash. */
  stateDirectoryId: string;
}

/** Under which a worker polls the queue of its host. */
export const identityOnHostQueue = ({ hostId, stateDirectoryId }: HostIdentity): string =>
  `${hostId}/host/${process.pid}/${tagOf(stateDirectoryId)}`;

/**
 * Sees to it that no worker with another state directory serves the queue of this host: each of them would get steps of cells
 * that live with the other. Temporal names pollers for five minutes, so one that may have ended is watched for a sign of life.
 *
 * @throws UserError `InvalidConfiguration` when one lives; `TemporalRefused` where the namespace is unknown or closed to us.
 */
export async function refuseTwin(
  connection: Connection,
  { namespace, identity, log, signal }: { namespace: string; identity: HostIdentity; log: Logger; signal: AbortSignal },
): Promise<void> {
  const others = () => askTemporal(null, () => pollersOf(connection, namespace, identity));
  const before = await others();
  const deadline = Date.now() + provesLife;
  if (before.size > 0)
    log.warn(
      { hostId: identity.hostId, workers: [...before.keys()] },
      'a worker with another state directory served this host id; waiting up to 75 s to see whether it still does',
    );
  while (before.size > 0 && Date.now() < deadline && !signal.aborted) {
    await sleep(lookEvery);
    const alive = [...(await others())].find(([name, polledAt]) => polledAt > (before.get(name) ?? 0));
    if (alive === undefined) continue;
    throw new UserError(
      'InvalidConfiguration',
      `another worker with another state directory serves the host id ${identity.hostId}: ${alive[0]}`,
      { try: 'give one of them a CELLS_HOST_ID of its own, or end it: a host id belongs to one CELLS_STATE_DIR' },
    );
  }
}

/** When each worker of another state directory polled last, milliseconds by the server's clock. */
async function pollersOf(
  connection: Connection,
  namespace: string,
  { hostId, stateDirectoryId }: HostIdentity,
): Promise<Map<string, number>> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: hostTaskQueue(hostId) },
    taskQueueType: activityQueue,
  });
  const own = tagOf(stateDirectoryId);
  return new Map(
    (pollers ?? []).flatMap(({ identity, lastAccessTime }): [string, number][] => {
      const tag = /\/([0-9a-f]{12})$/.exec(identity ?? '')?.[1];
      if (tag === undefined || tag === own) return [];
      return [[identity ?? '', Number(lastAccessTime?.seconds ?? 0) * 1000 + (lastAccessTime?.nanos ?? 0) / 1e6]];
    }),
  );
}

const tagOf = (stateDirectoryId: string): string =>
  createHash('sha256').update(stateDirectoryId).digest('hex').slice(0, 12);
