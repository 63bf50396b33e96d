import type { CellHost } from './host.ts';

/** Raises the token budget that the lease holds, never lowers it: a step that runs again may know an older figure. Answers what holds. */
export async function raiseBudget(host: CellHost, cellId: string, tokenBudget: number): Promise<number> {
  const lease = await host.leases.update(cellId, (known) => ({
    tokenBudget: Math.max(tokenBudget, known.tokenBudget ?? 0),
  }));
  return lease.tokenBudget ?? tokenBudget;
}
