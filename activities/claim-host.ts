import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { cellIdOf } from '../src/cell/cell-id.ts';
import type { CellHost } from '../src/cell/host.ts';
import { faultOfRequest } from '../src/cell/judge-request.ts';
import { keepLease } from '../src/cell/keep-lease.ts';
import { claimGivenBack, hostTaskQueue } from '../src/domain/names.ts';
import { withoutCredentials } from '../src/domain/without-credentials.ts';
import { requestDigest } from '../src/journal/audit.ts';
import type { ClaimActivities, ClaimInput, ClaimedCell } from './contract.ts';
import { failure } from './failure.ts';

/**
 * Takes a place on this host by writing the lease of the cell. The worker polls for claims only while it has room; where that has
 * gone while its poll waited, the claim goes back to Temporal. A second run finds the lease of the first.
 */
export const createClaimHost =
  (host: CellHost, refuse: () => Promise<string | null>): ClaimActivities['claimHost'] =>
  async ({ owner, request }: ClaimInput): Promise<ClaimedCell> => {
    const cellId = cellIdOf(owner);
    const run = { cellId, workflowId: owner.workflowId, runId: owner.runId };
    const fault = await faultOfRequest(host, request);
    if (fault !== null) {
      const { field, why, cause } = fault;
      await host.audit.record({ event: 'refused', what: 'request', ...run, field, why });
      throw failure('InvalidCellRequest', `${field}: ${why}`, { cause });
    }
    const isNew = (await host.leases.read(cellId)).kind === 'missing';
    const refusal = isNew ? await refuse() : null;
    if (refusal !== null) throw noRoom(host, refusal);
    const lease = await keepLease(host, { cellId, owner, request });
    const location = request.repository ?? host.repository;
    // Where it goes, the audit log and the history of the workflow, all may read it.
    const repository = location === null ? null : withoutCredentials(location);
    if (isNew) {
      const { runtime, model, agentType } = lease;
      await host.audit.record({
        event: 'started',
        ...run,
        request: requestDigest(request),
        repository,
        branch: request.branch,
        runtime,
        model,
        agentType,
      });
    }
    return {
      cellId,
      host: host.hostId,
      taskQueue: hostTaskQueue(host.hostId),
      runtime: lease.runtime,
      model: lease.model,
      repository,
      hostLostAfterMs: host.hostLostAfterMs,
      finishesCommits: true,
    };
  };

/** Of no interest to a caller: the claim is tried again, by whichever host has room. */
function noRoom({ hostId }: CellHost, why: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: claimGivenBack,
    message: `host ${hostId} has no room any more: ${why}`,
    category: ApplicationFailureCategory.BENIGN,
  });
}
