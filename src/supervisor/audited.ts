import type { Gateway } from '../gateway/gateway.ts';
import { modelLabel } from '../gateway/grant.ts';
import type { AuditLog } from '../journal/audit.ts';
import type { CellRuntime } from '../runtimes/runtime.ts';

/** The same runtime, which writes down what it lets cells reach, and whom it ended. */
export function auditedRuntime(runtime: CellRuntime, audit: AuditLog): CellRuntime {
  return {
    ...runtime,
    async start(spec, signal) {
      const targets = [...(spec.confinement?.allow ?? [])];
      if (targets.length > 0) await audit.record({ event: 'granted', what: 'network', mark: spec.cellId, targets });
      return await runtime.start(spec, signal);
    },
    async destroy(cellId) {
      const processes = await runtime.destroy(cellId);
      if (processes > 0) await audit.record({ event: 'killed', mark: cellId, processes });
      return processes;
    },
  };
}

/** The same gateway, which writes down what it grants: the models of a cell, and each raise of its budget. */
export function auditedGateway(gateway: Gateway, audit: AuditLog): Gateway {
  const budgetOf = (cellId: string) => gateway.accounts().find((account) => account.cellId === cellId)?.budget.total;
  return {
    ...gateway,
    async open(grant) {
      const door = await gateway.open(grant);
      const { cellId, routes, tokenBudget } = grant;
      const models = routes.flatMap(({ provider, models: known }) =>
        Object.keys(known).map((model) => modelLabel(provider, model)),
      );
      await audit.record({ event: 'granted', what: 'model', cellId, models, tokenBudget });
      return door;
    },
    extend(cellId, tokenBudget) {
      const before = budgetOf(cellId);
      const account = gateway.extend(cellId, tokenBudget);
      if (account !== null && account.budget.total !== before)
        void audit.record({ event: 'granted', what: 'budget', cellId, tokenBudget: account.budget.total });
      return account;
    },
  };
}
