import { raiseBudget } from '../src/cell/budget.ts';
import type { CellHost } from '../src/cell/host.ts';
import type { ExtendBudgetInput, HostActivities } from './contract.ts';

/** Raises the budget in the lease, where the running step reads it. */
export const createExtendBudget =
  (host: CellHost): HostActivities['extendBudget'] =>
  async ({ cellId, tokenBudget }: ExtendBudgetInput): Promise<void> => {
    await raiseBudget(host, cellId, tokenBudget);
  };
