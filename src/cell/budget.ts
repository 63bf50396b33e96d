import type { CellHost } from './host.ts';

/** Raises the token budget that the lease and the gateway hold, never lowers it: a step that runs again may know an older figure. Answers what holds. */
export async function raiseBudget(host: CellHost, cellId: string, tokenBudget: number): Promise<number> {
  const lease = await host.leases.update(cellId, (known) => ({
    tokenBudget: Math.max(tokenBudget, known.tokenBudget ?? 0),
  }));
  const holds = lease.tokenBudget ?? tokenBudget;
  await host.gateway?.extend(cellId, holds);
  return holds;
}
