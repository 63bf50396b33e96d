/**
 * The border between the deterministic workflows and the Node activities: types only.
 *
 * Every activity may run twice, in any worker process of the host: it is keyed by `cellId` and finds what its first run made.
 * Small data crosses here: ids, hashes, counts, tails. Bytes stay in the artifact folder of the host.
 */
import type { CellReport, TestSummary, TokenUsage } from '../src/domain/outcome.ts';
import type { IsolationName, ParsedCellRequest } from '../src/domain/request.ts';

/** Who a cell belongs to. */
export interface CellOwner {
  workflowId: string;
  runId: string;
  agentId: string;
  taskId: string;
  /** 0 for the first cell of a run. */
  respawn: number;
}

export interface ClaimInput {
  owner: CellOwner;
  request: ParsedCellRequest;
}

/** A place on a host, held by a lease. */
export interface ClaimedCell {
  cellId: string;
  host: string;
  /** The task queue of the host that holds the place. */
  taskQueue: string;
  runtime: IsolationName;
  /** `provider/model`, of the request or else of the template. */
  model: string;
  /** Of the request or else of the host, without credentials; null when neither names one. */
  repository: string | null;
  /** How long a step may wait for this host before the host counts as lost, milliseconds. A host of an earlier version does not say. */
  hostLostAfterMs?: number;
  /** A commit that has begun is not cancelled: it may have moved the branch, and only its next attempt tells. A host of an earlier version does not say. */
  finishesCommits?: true;
}

export interface SpawnInput {
  owner: CellOwner;
  cellId: string;
  request: ParsedCellRequest;
  /** How many times its memory limit the cell may use, where its runtime limits it. Default 1. */
  memory?: number;
}

/** What to give a cell another server for. */
export interface ReviveInput extends SpawnInput {
  /** A server that is well is replaced all the same: its agent hangs. */
  replace?: true;
}

/** A cell that proved to be ours and healthy. */
export interface SpawnedCell {
  cellId: string;
  port: number;
  worktree: string;
  baseCommit: string;
  versions: { agentCells: string; opencode: string };
  /** `warm` where the server had been booted ahead. Absent in what earlier versions answered. */
  start?: 'warm' | 'cold';
}

export interface ExecuteInput {
  cellId: string;
  /** 0 for the first prompt, then one more for each repair. Makes the message id, so that a prompt is sent once. */
  round: number;
  text: string;
  /** Tokens of all kinds that the cell may use over all rounds. */
  tokenBudget: number;
  /** How many times the host's limit the agent may be silent. Default 1. */
  patience?: number;
}

/** What the agent used and said, over all rounds of the cell. */
export interface AgentUsage {
  tokens: TokenUsage;
  cost: number | null;
  /** The agent's last message, at most 4 KiB. */
  summary: string;
  /** Milliseconds since the epoch. */
  lastActivity: number | null;
}

export interface ExecuteReport extends Outgrown {
  kind: 'finished' | 'budget-spent';
  usage: AgentUsage;
  /** Of a spent budget: what it was when there was no room for another request, though some of it may be left. */
  refusedAt?: number;
}

/** Of a step that others follow. */
interface Outgrown {
  /** The memory that the cell uses, in a sentence, when its server should be replaced before the next step. */
  outgrown?: string;
}

/** The first detail of the failure when an agent's turn has failed: what was used all the same. */
export interface FailedExecuteDetail extends AgentUsage {
  /** The agent said nothing for too long, on a server that is well: another one may be given more time. */
  hangs?: true;
  /** The server was ended for the memory limit of its cell: another one may be given more. */
  outOfMemory?: true;
}

/** The first detail of the failure when a host has ended a cell: what it kept of it. Earlier versions read what was used in the same place. */
export type ClosedCellDetail = AgentUsage & Pick<RevertReport, 'revertedRef'>;

/** Heartbeat details of `executePrompt`. */
export interface ExecuteProgress {
  sessionId: string | null;
  tokens: TokenUsage;
  /** Milliseconds since the last event of the agent. */
  silentForMs: number;
  /** What the agent does, in a few words; `waiting for the model` and the like. */
  doing: string;
}

export interface RunTestsInput {
  cellId: string;
  round: number;
  command: string;
  timeoutMs: number;
  env: Record<string, string>;
  protectedPaths: string[];
}

export interface TestReport extends Omit<TestSummary, 'rounds'>, Outgrown, TouchedPaths {
  /** The tree that was tested, and that is to be committed. */
  tree: string;
  /** Whether that tree differs from the base; when it does not, the tests were skipped. */
  changed: boolean;
  /** The command was ended at its timeout. */
  timedOut?: boolean;
  /** Meanwhile something was ended for the memory limit of the cell. */
  outOfMemory?: true;
}

export interface CommitInput {
  cellId: string;
  /** The tree that was tested; null when there was no test command: then the tree is written now. */
  tree: string | null;
  protectedPaths: string[];
  commitMessage: string | null;
  summary: string;
  tokens: TokenUsage;
}

export type CommitReport =
  | ({ kind: 'committed'; branch: string; commit: string } & ModifiedFiles & TouchedPaths)
  | ({ kind: 'unchanged' } & TouchedPaths);

/** As many as a report names, and how many it does not. */
type ModifiedFiles = Pick<CellReport, 'filesModified' | 'filesLeftOut'>;
export type TouchedPaths = Pick<CellReport, 'protectedPathsTouched' | 'protectedPathsLeftOut'>;

export interface RevertInput {
  cellId: string;
  reason: string;
}

export interface RevertReport extends ModifiedFiles {
  /** Where the work is kept; null when there was none. */
  revertedRef: string | null;
  /** What the agent had used, known even when its step was cut short. */
  usage: AgentUsage | null;
}

export interface TeardownInput {
  cellId: string;
}

export interface TeardownReport {
  /** What was released now, by kind: `process`, `port`, `worktree`, `home`, `lease`. */
  released: string[];
  /** What was already gone. */
  alreadyGone: string[];
}

export interface PromptAgentInput {
  cellId: string;
  /** Makes the message id: the same update is delivered once. */
  updateId: string;
  text: string;
}

export interface ExtendBudgetInput {
  cellId: string;
  tokenBudget: number;
}

/** Served on the claim queue by every host that has room. */
export interface ClaimActivities {
  claimHost(input: ClaimInput): Promise<ClaimedCell>;
}

/** Served on the queue of one host, for the cells that live there. */
export interface HostActivities {
  spawnCell(input: SpawnInput): Promise<SpawnedCell>;
  reviveCell(input: ReviveInput): Promise<SpawnedCell>;
  executePrompt(input: ExecuteInput): Promise<ExecuteReport>;
  runTests(input: RunTestsInput): Promise<TestReport>;
  commitWork(input: CommitInput): Promise<CommitReport>;
  revertWork(input: RevertInput): Promise<RevertReport>;
  teardownCell(input: TeardownInput): Promise<TeardownReport>;
  promptAgent(input: PromptAgentInput): Promise<void>;
  extendBudget(input: ExtendBudgetInput): Promise<void>;
}
