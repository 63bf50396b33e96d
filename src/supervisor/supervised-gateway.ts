import type { Door } from '../gateway/door.ts';
import type { CellAccount } from '../gateway/gateway.ts';
import type { CellGrant } from '../gateway/grant.ts';
import type { SupervisorClient } from './client.ts';
import type { GatewayState } from './protocol.ts';

/** The model gateway of a host, as its worker sees it: it lives in the supervisor, so that no stream is cut when the worker ends. */
export interface ModelGateway {
  /** Opens the door of a cell, or gives one that is open new routes. What was used stays, and the budget is never lowered. */
  open(grant: CellGrant): Promise<Door>;
  /** Raises the budget of a cell. Answers null when its door is not open. */
  extend(cellId: string, tokenBudget: number): Promise<CellAccount | null>;
  /** Idempotent. Ending the processes of a cell closes its door too. */
  close(cellId: string): Promise<void>;
  state(): Promise<GatewayState>;
}

export function supervisedGateway(supervisor: Pick<SupervisorClient, 'call'>): ModelGateway {
  return {
    open: (grant) => supervisor.call<Door>('/gateway/open', grant),
    extend: (cellId, tokenBudget) => supervisor.call<CellAccount | null>('/gateway/extend', { cellId, tokenBudget }),
    async close(cellId) {
      await supervisor.call('/gateway/close', { cellId });
    },
    state: () => supervisor.call<GatewayState>('/gateway/state', {}),
  };
}
