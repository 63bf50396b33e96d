import { createHash } from 'node:crypto';

/** Names everything that a cell owns: a short hash of the workflow id, the run id and the respawn count. */
export function cellIdOf(owner: { workflowId: string; runId: string; respawn: number }): string {
  return createHash('sha256')
    .update(JSON.stringify([owner.workflowId, owner.runId, owner.respawn]))
    .digest('hex')
    .slice(0, 16);
}
