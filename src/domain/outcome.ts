import type { Lifecycle, Step, Transition } from './lifecycle.ts';
import type { IsolationName } from './request.ts';

/** Tokens of one cell over all of its attempts, by kind. */
export interface TokenUsage {
  input: number;
  output: number;
  reasoning: number;
  cacheRead: number;
  cacheWrite: number;
  total: number;
}

/** What happened to one file; binary files have `null` counts. */
export interface FileChange {
  path: string;
  change: 'added' | 'modified' | 'deleted' | 'renamed';
  additions: number | null;
  deletions: number | null;
}

/** What the test command said. `rounds` counts its runs; `outputTail` is at most 8 KiB of the last run. */
export interface TestSummary {
  outcome: 'passed' | 'failed' | 'skipped';
  exitCode: number | null;
  durationMs: number;
  rounds: number;
  outputTail: string;
}

/** How long each part of a cell's life took, in milliseconds; the parts add up to `totalMs`. */
export interface CellMetrics {
  queueMs: number;
  spawnMs: number;
  executionMs: number;
  testMs: number;
  commitMs: number;
  teardownMs: number;
  totalMs: number;
}

/** The verdict on a cell's work. */
export type CellStatus = 'committed' | 'reverted' | 'unchanged';

/** What is known of a cell, verdict or not: the first detail of a failure, and the base of a result. */
export interface CellReport {
  /** Why the cell ended as it did, in a sentence. */
  reason: string;
  /** The field that is wrong; only when the request was refused before a cell was made of it. */
  field?: string;
  agentId: string;
  taskId: string;
  cellId: string | null;
  host: string | null;
  runtime: IsolationName | null;
  baseCommit: string | null;
  /** Only when committed. */
  branch?: string;
  /** Only when committed. */
  commit?: string;
  /** Where work that was not committed is kept; only when there was any. */
  revertedRef?: string;
  filesModified: FileChange[];
  /** How many further files were modified than the list names; only where it has no room for all. */
  filesLeftOut?: number;
  tests: TestSummary;
  tokens: TokenUsage;
  /** US dollars where the provider's price is known. */
  cost: number | null;
  protectedPathsTouched: string[];
  /** How many further ones there are at least; only where the list has no room for all. */
  protectedPathsLeftOut?: number;
  /** The agent's last message, at most 4 KiB. */
  summary: string;
  versions: { agentCells: string; opencode: string | null };
  metrics: CellMetrics;
  /** How often the cell had to be made anew. */
  respawns: number;
}

/** The result of `agentCell`. */
export interface CellResult extends CellReport {
  status: CellStatus;
}

/** What the query `state` answers. */
export interface CellState {
  lifecycle: Lifecycle;
  step: Step;
  /** When the cell entered this lifecycle or step, milliseconds since the epoch. */
  since: number;
  attempt: number;
  cell: {
    cellId: string | null;
    host: string | null;
    runtime: IsolationName | null;
    port: number | null;
    worktree: string | null;
    branch: string;
  };
  tokens: TokenUsage;
  tokenBudget: number;
  /** When the agent was last heard of, milliseconds since the epoch. */
  lastActivity: number | null;
  /** What keeps the agent from its work, in a sentence: a provider that fails, say; null while nothing does. */
  waitingFor: string | null;
  /** How near the cell is to its memory limit, in a sentence, from nine tenths of it on; null while it is not. */
  memoryAlert: string | null;
  tests: TestSummary;
  history: Transition[];
}

export const noTokens: TokenUsage = { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0, total: 0 };

export const noTests: TestSummary = { outcome: 'skipped', exitCode: null, durationMs: 0, rounds: 0, outputTail: '' };

/** Adds token counts, kind by kind. */
export function addTokens(left: TokenUsage, right: TokenUsage): TokenUsage {
  return {
    input: left.input + right.input,
    output: left.output + right.output,
    reasoning: left.reasoning + right.reasoning,
    cacheRead: left.cacheRead + right.cacheRead,
    cacheWrite: left.cacheWrite + right.cacheWrite,
    total: left.total + right.total,
  };
}
