import type { SpawnInput } from '../../activities/contract.ts';
import { findTemplate } from '../templates/load.ts';
import { currentBootId } from '../runtimes/processes.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';

/** The lease of a cell: what an earlier run wrote, or else a new one. It holds the place of the cell on this host. */
export async function keepLease(host: CellHost, { cellId, owner, request }: SpawnInput): Promise<Lease> {
  const template = findTemplate(host.templates, request.agentType);
  return host.leases.createOrKeep({
    version: 1,
    cellId,
    owner,
    host: host.hostId,
    bootId: currentBootId(),
    createdAt: Date.now(),
    generation: 0,
    runtime: request.runtime ?? host.defaultRuntime,
    model: request.model ?? host.opencode.model ?? template.model,
    agentType: request.agentType,
    state: 'claimed',
    gitDirectory: null,
    baseCommit: null,
    worktree: null,
    port: null,
    server: null,
    sessionId: null,
    prompts: {},
    tokenBudget: null,
    usage: null,
  });
}
