import type { SpawnInput } from '../../activities/contract.ts';
import { findTemplate } from '../templates/load.ts';
import { fallbackModel } from '../templates/template.ts';
import type { CellHost } from './host.ts';
import { type Lease, newLease } from './lease.ts';

/** The lease of a cell: what an earlier run wrote, or else a new one. It holds the place of the cell on this host. */
export async function keepLease(host: CellHost, { cellId, owner, request }: SpawnInput): Promise<Lease> {
  const template = findTemplate(host.templates, request.agentType);
  return host.leases.createOrKeep(
    newLease({
      cellId,
      owner,
      host: host.hostId,
      runtime: request.runtime ?? host.defaultRuntime,
      model: request.model ?? template.model ?? host.opencode.model ?? fallbackModel,
      agentType: request.agentType,
    }),
  );
}
