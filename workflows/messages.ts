import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Duration } from '../src/domain/duration.ts';
import type { CellState, TokenUsage } from '../src/domain/outcome.ts';

/** What `extend` takes: both are added to what the cell has; at least one is given. */
export interface ExtendInput {
  /** Tokens on top of the budget so far. */
  tokens?: number;
  /** Time on top of the timeout so far. */
  timeout?: Duration;
}

/** What `extend` answers: what holds from now on. */
export interface Extended {
  tokenBudget: number;
  /** When the cell will be ended, milliseconds since the epoch. */
  deadline: number;
}

export interface PromptInput {
  /** One more instruction to the running agent. */
  text: string;
}

export interface AbortInput {
  /** Becomes the `reason` of the result. */
  reason: string;
}

/** Where the cell stands. Needs a workflow worker, not the host of the cell. */
export const stateQuery = defineQuery<CellState>('state');

/** Raises the budget or the time; refused once the cell is terminating. */
export const extendUpdate = defineUpdate<Extended, [ExtendInput]>('extend');

/** Gives the running agent one more instruction; answered when the agent has taken it. */
export const promptUpdate = defineUpdate<void, [PromptInput]>('prompt');

/** Ends the cell now: revert, tear down, and a result whose status is `reverted`. */
export const abortSignal = defineSignal<[AbortInput]>('abort');

/** What the host reports while an agent works, in small numbers; not for outsiders. */
export interface ProgressInput {
  /** A host of an earlier version does not say. */
  cellId?: string;
  tokens: TokenUsage;
  /** Milliseconds since the epoch; null when nothing was heard of the agent yet. */
  lastActivity: number | null;
  /** What keeps the agent from its work, in a sentence; null when nothing does. */
  waitingFor?: string | null;
}

/** What the host says of the memory of its cell; not for outsiders. */
export interface AlertInput {
  cellId: string;
  /** In a sentence, while the cell is near to its limit; null when it no longer is. */
  memory: string | null;
}

/** From the host to the workflow: the cell has come near to a limit, or has left it. */
export const alertSignal = defineSignal<[AlertInput]>('cellAlert');

/** From the host to the workflow: tokens so far. Sent seldom, for each one is history. */
export const progressSignal = defineSignal<[ProgressInput]>('cellProgress');
