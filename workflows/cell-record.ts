import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { ClaimedCell, SpawnedCell } from '../activities/contract.ts';
import { type Lifecycle, type Step, type Transition, addTransition, mayFollow } from '../src/domain/lifecycle.ts';
import { branchOf } from '../src/domain/names.ts';
import {
  type CellMetrics,
  type CellState,
  type TestSummary,
  type TokenUsage,
  addTokens,
  noTests,
  noTokens,
} from '../src/domain/outcome.ts';
import type { ParsedCellRequest } from '../src/domain/request.ts';
import { cutToJsonBytes } from '../src/domain/text-bytes.ts';
import { searchAttributes } from '../src/domain/search-attributes.ts';
import { withoutCredentials } from '../src/domain/without-credentials.ts';
import { detailsOf } from './details.ts';
import type { KnownUsage } from './ending.ts';
import type { AlertInput } from './messages.ts';

/** The longest reason of a transition, characters. */
const reasonLimit = 300;

/** What is known of a cell while it lives; the one place that the query, the details and the result are made from. */
export interface CellRecord {
  readonly request: ParsedCellRequest;
  /** 1, and one more each time that the cell was recovered. */
  attempt: number;
  /** How often the cell was made anew. */
  respawns: number;
  /** How often of these because its host ended it on purpose. */
  moved: number;
  /** What earlier cells of this run have used: their hosts' counts ended with them. */
  earlier: { tokens: TokenUsage; cost: number | null };
  lifecycle: Lifecycle;
  step: Step;
  since: number;
  readonly history: Transition[];
  readonly durations: Omit<CellMetrics, 'totalMs'>;
  readonly startedAt: number;
  claimed: ClaimedCell | null;
  spawned: SpawnedCell | null;
  /** The last cell of the run that is gone, and the ref under which the work of such a one is kept. */
  earlierCell: Pick<CellRecord, 'claimed' | 'spawned'>;
  keptEarlier: string | null;
  /** Nothing is left of the cell on its host: there is no work that could be reverted. */
  released: boolean;
  tokens: TokenUsage;
  tokenBudget: number;
  cost: number | null;
  summary: string;
  lastActivity: number | null;
  /** What keeps the agent from its work, in a sentence. */
  waitingFor: string | null;
  /** How near the cell is to its memory limit, in a sentence; null while it is not. */
  memoryAlert: string | null;
  tests: TestSummary;
  protectedPathsTouched: string[];
  /** How many further ones there are at least. */
  protectedPathsLeftOut: number;
  /** What the next run of the test command gets, milliseconds. */
  testTimeout: number;
  /** How many times the host's limit the agent may be silent. */
  patience: number;
  /** How many times its memory limit the cell may use, where its runtime limits it. */
  memory: number;
  /** The memory that the cell uses, in a sentence, when its server should be replaced before the next step. */
  outgrown: string | null;
  /** The round in which the server was replaced for that; null when it never was. */
  recycledIn: number | null;
}

/** Opens the record of a cell that waits in the queue. */
export function openRecord(request: ParsedCellRequest): CellRecord {
  const now = Date.now();
  const record: CellRecord = {
    request,
    attempt: 1,
    respawns: 0,
    moved: 0,
    earlier: { tokens: noTokens, cost: null },
    lifecycle: 'created',
    step: 'queue',
    since: now,
    history: [{ lifecycle: 'created', step: 'queue', at: now }],
    durations: { queueMs: 0, spawnMs: 0, executionMs: 0, testMs: 0, commitMs: 0, teardownMs: 0 },
    startedAt: now,
    claimed: null,
    spawned: null,
    earlierCell: { claimed: null, spawned: null },
    keptEarlier: null,
    released: false,
    tokens: noTokens,
    tokenBudget: request.tokenBudget,
    cost: null,
    summary: '',
    lastActivity: null,
    waitingFor: null,
    memoryAlert: null,
    tests: noTests,
    protectedPathsTouched: [],
    protectedPathsLeftOut: 0,
    testTimeout: request.testTimeout,
    patience: 1,
    memory: 1,
    outgrown: null,
    recycledIn: null,
  };
  upsertSearchAttributes([
    { key: searchAttributes.agentId, value: request.agentId },
    { key: searchAttributes.taskId, value: request.taskId },
    { key: searchAttributes.agentType, value: request.agentType },
    { key: searchAttributes.lifecycle, value: record.lifecycle },
    { key: searchAttributes.step, value: record.step },
    ...repositoryAttribute(request.repository),
  ]);
  show(record);
  return record;
}

/**
 * Goes to another lifecycle and step. The time since the last change is counted to the step that ends,
 * so that the durations of a cell add up to its whole time.
 *
 * @param reason why, where it is not the ordinary course of things; one that is too long for a sentence is cut
 */
export function enter(record: CellRecord, lifecycle: Lifecycle, step: Step, reason?: string): void {
  if (!mayFollow(record.lifecycle, lifecycle))
    throw new TypeError(`a cell cannot go from ${record.lifecycle} to ${lifecycle}`);
  closeStep(record);
  record.lifecycle = lifecycle;
  record.step = step;
  record.waitingFor = null;
  const why = reason ? { reason: sentence(reason) } : {};
  addTransition(record.history, { lifecycle, step, at: record.since, ...why });
  show(record);
}

/** Publishes where the cell stands to Temporal's visibility: one history event, so only when a step begins. */
export function publish(record: CellRecord, status?: string): void {
  upsertSearchAttributes([
    { key: searchAttributes.lifecycle, value: record.lifecycle },
    { key: searchAttributes.step, value: record.step },
    { key: searchAttributes.tokens, value: record.tokens.total },
    ...(record.claimed ? [{ key: searchAttributes.host, value: record.claimed.host }] : []),
    ...repositoryAttribute(record.claimed?.repository),
    ...(status ? [{ key: searchAttributes.status, value: status }] : []),
  ]);
}

/** The server ends a workflow whose attribute is longer than this, bytes of JSON. Of the others, all are short by their form. */
const attributeLimit = 2048;

function repositoryAttribute(repository: string | null | undefined) {
  if (!repository) return [];
  // A request may have credentials in it, and so may the claim of a host of an earlier version; attributes are shown in lists.
  const shown = withoutCredentials(repository);
  return [{ key: searchAttributes.repository, value: cutToJsonBytes(shown, attributeLimit) }];
}

/** Takes over what the host reports of the agent. A report that is older than what is known changes nothing. */
export function recordUsage(record: CellRecord, usage: KnownUsage): void {
  const tokens = addTokens(record.earlier.tokens, usage.tokens);
  if (tokens.total >= record.tokens.total) record.tokens = tokens;
  if (usage.lastActivity !== null) record.lastActivity = Math.max(usage.lastActivity, record.lastActivity ?? 0);
  if (usage.cost !== undefined) record.cost = addCosts(record.earlier.cost, usage.cost);
  if (usage.summary !== undefined && usage.summary !== '') record.summary = usage.summary;
  show(record);
}

/** Takes over what the host says of the memory of the cell that lives now; of an earlier one it is late. */
export function recordAlert(record: CellRecord, alert: AlertInput): void {
  if (record.claimed?.cellId !== alert.cellId) return;
  record.memoryAlert = alert.memory;
  show(record);
}

/** For what boots a server: nothing where the cell has what it was asked for, as in runs that know of no other. */
export const memoryOf = ({ memory }: CellRecord): { memory?: number } => (memory === 1 ? {} : { memory });

/** Makes room for the next cell of the run; what the last one used goes on counting. */
export function beginRespawn(record: CellRecord): void {
  record.earlier = { tokens: record.tokens, cost: record.cost };
  record.earlierCell = { claimed: record.claimed, spawned: record.spawned };
  record.claimed = null;
  record.spawned = null;
  record.released = false;
  record.memoryAlert = null;
  record.attempt += 1;
  record.respawns += 1;
}

/** The cell that lives now; while the run waits for a host again, the one before it. */
export const latestOf = (record: CellRecord): Pick<CellRecord, 'claimed' | 'spawned'> =>
  record.claimed === null ? record.earlierCell : record;

/** The id of the cell that lives now. */
export function cellIdOf({ claimed }: CellRecord): string {
  if (claimed === null) throw new TypeError('a cell has an id after its claim');
  return claimed.cellId;
}

/** What is left of the budget for the cell that lives now, in tokens of all kinds; 0 when it is spent. */
export function budgetOfCell(record: CellRecord): number {
  return Math.max(0, record.tokenBudget - record.earlier.tokens.total);
}

/** What the query `state` answers. */
export function stateOf(record: CellRecord): CellState {
  return {
    lifecycle: record.lifecycle,
    step: record.step,
    since: record.since,
    attempt: record.attempt,
    cell: {
      cellId: record.claimed?.cellId ?? null,
      host: record.claimed?.host ?? null,
      runtime: record.claimed?.runtime ?? null,
      port: record.spawned?.port ?? null,
      worktree: record.spawned?.worktree ?? null,
      branch: branchOf(record.request),
    },
    tokens: record.tokens,
    tokenBudget: record.tokenBudget,
    lastActivity: record.lastActivity,
    waitingFor: record.waitingFor,
    memoryAlert: record.memoryAlert,
    tests: record.tests,
    history: record.history,
  };
}

/** Durations by part of life, in milliseconds, and their sum. */
export function metricsOf(record: CellRecord): CellMetrics {
  return { ...record.durations, totalMs: record.since - record.startedAt };
}

const durationOf = {
  queue: 'queueMs',
  spawn: 'spawnMs',
  execute: 'executionMs',
  repair: 'executionMs',
  test: 'testMs',
  commit: 'commitMs',
  revert: 'commitMs',
  teardown: 'teardownMs',
} as const satisfies Record<Step, keyof CellMetrics>;

function addCosts(left: number | null, right: number | null): number | null {
  return left === null && right === null ? null : (left ?? 0) + (right ?? 0);
}

/** On one line, and short: a failure may bring the end of a log with it. */
function sentence(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= reasonLimit ? line : `${line.slice(0, reasonLimit - 1).toWellFormed()}…`;
}

function closeStep(record: CellRecord): void {
  const now = Date.now();
  record.durations[durationOf[record.step]] += now - record.since;
  record.since = now;
}

function show(record: CellRecord): void {
  setCurrentDetails(detailsOf(stateOf(record)));
}
