import type { SpawnInput } from '../../activities/contract.ts';
import { findTemplate } from '../templates/load.ts';
import { fallbackModel } from '../templates/template.ts';
import type { CellHost } from './host.ts';
import { type Lease, newLease } from './lease.ts';
import { allowedBy, limitsOf } from './limits.ts';

/** The lease of a cell: what an earlier run wrote, or else a new one. It holds the place of the cell on this host. */
export async function keepLease(host: CellHost, { cellId, owner, request }: SpawnInput): Promise<Lease> {
  const runtime = request.runtime ?? host.defaultRuntime;
  return host.leases.createOrKeep(
    newLease({
      cellId,
      owner,
      host: host.hostId,
      runtime,
      limits: limitsOf(host, request, runtime),
      allow: allowedBy(request),
      model: modelOf(host, request),
      agentType: request.agentType,
    }),
  );
}

/** The model of a request, else of its agent type, else of the host. */
export function modelOf(
  host: Pick<CellHost, 'templates' | 'opencode'>,
  { model, agentType }: SpawnInput['request'],
): string {
  return model ?? findTemplate(host.templates, agentType).model ?? host.opencode.model ?? fallbackModel;
}
