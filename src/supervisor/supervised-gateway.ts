import type { Door } from '../gateway/door.ts';
import type { CellAccount } from '../gateway/gateway.ts';
import type { GatewayState, ModelGateway } from '../gateway/model-gateway.ts';
import type { SupervisorClient } from './client.ts';

/** The model gateway in the supervisor: no stream is cut when the worker ends. */
export function supervisedGateway(supervisor: Pick<SupervisorClient, 'call'>): ModelGateway {
  return {
    open: (grant) => supervisor.call<Door>('/gateway/open', grant),
    extend: (cellId, tokenBudget) => supervisor.call<CellAccount | null>('/gateway/extend', { cellId, tokenBudget }),
    account: (cellId) => supervisor.call<CellAccount | null>('/gateway/account', { cellId }),
    async close(cellId) {
      await supervisor.call('/gateway/close', { cellId });
    },
    state: () => supervisor.call<GatewayState>('/gateway/state', {}),
  };
}
