import type { Door } from './door.ts';
import type { CellAccount } from './gateway.ts';
import type { CellGrant } from './grant.ts';
import type { ModelFigures } from './meter.ts';

/** The model gateway of a host as the steps of a cell see it, wherever it runs. */
export interface ModelGateway {
  /** Opens the door of a cell, or gives one that is open new routes. What was used stays, and the budget is never lowered. */
  open(grant: CellGrant): Promise<Door>;
  /** Raises the budget of a cell. Answers null when its door is not open. */
  extend(cellId: string, tokenBudget: number): Promise<CellAccount | null>;
  /** What a cell has used; null when its door is not open. */
  account(cellId: string): Promise<CellAccount | null>;
  /** Idempotent. Ending the processes of a cell closes its door too. */
  close(cellId: string): Promise<void>;
  state(): Promise<GatewayState>;
}

/** What the model gateway says of itself. */
export interface GatewayState {
  /** Of the cells whose doors are open. */
  accounts: CellAccount[];
  /** Of the models that were asked for since the supervisor started. */
  models: ModelFigures[];
}
