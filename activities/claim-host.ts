import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { cellIdOf } from '../src/cell/cell-id.ts';
import type { CellHost } from '../src/cell/host.ts';
import { keepLease, modelOf } from '../src/cell/keep-lease.ts';
import { goesThroughGateway, routesOf } from '../src/cell/model-door.ts';
import { claimGivenBack, hostTaskQueue } from '../src/domain/names.ts';
import type { ParsedCellRequest } from '../src/domain/request.ts';
import { findTemplate } from '../src/templates/load.ts';
import type { AgentTemplate } from '../src/templates/template.ts';
import type { ClaimActivities, ClaimInput, ClaimedCell } from './contract.ts';
import { failure, messageOf } from './failure.ts';

/**
 * Takes a place on this host by writing the lease of the cell. The worker polls for claims only while it has room; where that has
 * gone while its poll waited, the claim goes back to Temporal. A second run finds the lease of the first.
 */
export const createClaimHost =
  (host: CellHost, refuse: () => Promise<string | null>): ClaimActivities['claimHost'] =>
  async ({ owner, request }: ClaimInput): Promise<ClaimedCell> => {
    const template = templateOf(host, request);
    const wanted = { resources: request.resources ?? template.resources, network: request.network };
    const runtime = request.runtime ?? host.defaultRuntime;
    refuseWhatCannotBeHad(host, wanted, runtime);
    if (goesThroughGateway(host, runtime)) await refuseUnreachableModel(host, modelOf(host, request));
    const cellId = cellIdOf(owner);
    const refusal = (await host.leases.read(cellId)).kind === 'missing' ? await refuse() : null;
    if (refusal !== null) throw noRoom(host, refusal);
    const lease = await keepLease(host, { cellId, owner, request });
    return {
      cellId,
      host: host.hostId,
      taskQueue: hostTaskQueue(host.hostId),
      runtime: lease.runtime,
      model: lease.model,
      repository: request.repository ?? host.repository,
      hostLostAfterMs: host.hostLostAfterMs,
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

function templateOf(host: CellHost, request: ParsedCellRequest): AgentTemplate {
  try {
    return findTemplate(host.templates, request.agentType);
  } catch (error) {
    throw failure('InvalidCellRequest', `agentType: ${messageOf(error)}`, { cause: error });
  }
}

async function refuseUnreachableModel(host: CellHost, model: string): Promise<void> {
  try {
    await routesOf(host, model);
  } catch (error) {
    throw failure('InvalidCellRequest', `model: ${messageOf(error)}`, { cause: error });
  }
}

function refuseWhatCannotBeHad(
  host: CellHost,
  wanted: { resources: unknown; network: unknown },
  name: CellHost['defaultRuntime'],
): void {
  const { runtime, probe } = host.runtimes[name];
  if (!probe.usable)
    throw failure('InvalidCellRequest', `runtime: ${name} is not available on this host: ${probe.why}; ${probe.try}`);
  for (const field of ['resources', 'network'] as const) {
    const why = runtime.unsupported[field];
    if (wanted[field] !== undefined && why !== undefined) {
      throw failure('InvalidCellRequest', `${field}: the ${name} runtime cannot enforce it: ${why}`);
    }
  }
}
