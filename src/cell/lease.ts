import type { AgentUsage, CellOwner } from '../../activities/contract.ts';
import type { IsolationName } from '../domain/request.ts';
import type { RuntimeHandle } from '../runtimes/runtime.ts';

/**
 * What a host knows of one cell: written before anything is made, each field before the step that it names.
 * It is the only place from which a cell can be found again after the worker died.
 */
export interface Lease {
  version: 1;
  cellId: string;
  owner: CellOwner;
  host: string;
  bootId: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Raised by each attempt of a step; an attempt that finds a higher number stops touching the cell. */
  generation: number;
  runtime: IsolationName;
  model: string;
  agentType: string;
  /** `claimed` until the spawn begins: such a lease lapses when no spawn follows. */
  state: 'claimed' | 'spawning' | 'ready' | 'terminating';
  /** The git directory that holds the objects and refs, named by its real path. */
  gitDirectory: string | null;
  baseCommit: string | null;
  worktree: string | null;
  port: number | null;
  server: RuntimeHandle | null;
  sessionId: string | null;
  /** Tokens that the cell may use; raised by `extend`. */
  tokenBudget: number | null;
  usage: AgentUsage | null;
}
