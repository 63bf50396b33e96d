import * as v from 'valibot';
import type { AgentUsage, CellOwner } from '../../activities/contract.ts';
import { type IsolationName, isolations } from '../domain/request.ts';
import { noLimits } from '../runtimes/limit-groups.ts';
import { currentBootId } from '../runtimes/processes.ts';
import type { Limits, RuntimeHandle } from '../runtimes/runtime.ts';
import { isCellId } from './paths.ts';

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
  /** What a confined cell may use at most. */
  limits: Limits;
  /** What a confined cell reaches besides its models, as `host:port`. */
  allow: readonly string[];
  /** `claimed` until the first spawn begins: such a lease lapses when none follows. `spawning` until one succeeds. `terminating` once its host has begun to end it. */
  state: 'claimed' | 'spawning' | 'ready' | 'terminating';
  /** The git directory that holds the objects and refs, named by its real path. */
  gitDirectory: string | null;
  baseCommit: string | null;
  /** Null while nothing of the cell has been made. */
  worktree: string | null;
  port: number | null;
  server: RuntimeHandle | null;
  sessionId: string | null;
  /** The id of the message of each prompt, chosen before it is sent, so that one that is sent again is recognised. */
  prompts: Record<string, string>;
  /** Tokens that the cell may use; raised by `extend`. */
  tokenBudget: number | null;
  usage: AgentUsage | null;
}

/** What may change in the life of a lease. */
export type LeaseChange = Partial<Omit<Lease, 'version' | 'cellId' | 'owner' | 'createdAt' | 'generation'>>;

/** A place on this host and nothing more. */
export function newLease(
  claim: Pick<Lease, 'cellId' | 'owner' | 'host' | 'runtime' | 'model' | 'agentType'> &
    Partial<Pick<Lease, 'limits' | 'allow'>>,
): Lease {
  return {
    version: 1,
    limits: noLimits,
    allow: [],
    ...claim,
    bootId: currentBootId(),
    createdAt: Date.now(),
    generation: 0,
    state: 'claimed',
    gitDirectory: null,
    baseCommit: null,
    worktree: null,
    port: null,
    server: null,
    sessionId: null,
    prompts: {},
    tokenBudget: null,
    usage: null,
  };
}

/** Parses the text of a lease file. What this version does not know exactly it does not guess. */
export function parseLease(text: string): { lease: Lease } | { reason: string } {
  const parsed = v.safeParse(leaseFile, text);
  if (parsed.success) return { lease: parsed.output };
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  return { reason: path === null ? issue.message : `${path}: ${issue.message}` };
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const cellId = v.pipe(v.string(), v.check(isCellId, 'not the id of a cell'));

/** What a runtime answers when it has started a process. */
export const handleSchema = v.strictObject({
  version: v.literal(1),
  runtime: v.picklist(isolations),
  cellId,
  pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  startTime: v.pipe(v.string(), v.digits()),
  bootId: v.string(),
});

const usage = v.strictObject({
  tokens: v.strictObject({
    input: count,
    output: count,
    reasoning: count,
    cacheRead: count,
    cacheWrite: count,
    total: count,
  }),
  cost: v.nullable(v.number()),
  summary: v.string(),
  lastActivity: v.nullable(v.number()),
});

const limit = v.nullable(v.pipe(v.number(), v.minValue(0)));

const leaseSchema: v.GenericSchema<unknown, Lease> = v.strictObject({
  version: v.literal(1),
  cellId,
  owner: v.strictObject({
    workflowId: v.string(),
    runId: v.string(),
    agentId: v.string(),
    taskId: v.string(),
    respawn: count,
  }),
  host: v.string(),
  bootId: v.string(),
  createdAt: v.number(),
  generation: count,
  runtime: v.picklist(isolations),
  model: v.string(),
  agentType: v.string(),
  // Leases of the versions before have neither, or limits without `disk`.
  limits: v.optional(
    v.strictObject({ memory: limit, cpus: limit, pids: limit, disk: v.optional(limit, null) }),
    noLimits,
  ),
  allow: v.optional(v.array(v.string()), []),
  state: v.picklist(['claimed', 'spawning', 'ready', 'terminating']),
  gitDirectory: v.nullable(v.string()),
  baseCommit: v.nullable(v.string()),
  worktree: v.nullable(v.string()),
  port: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
  server: v.nullable(handleSchema),
  sessionId: v.nullable(v.string()),
  prompts: v.record(v.string(), v.string()),
  tokenBudget: v.nullable(count),
  usage: v.nullable(usage),
});

const leaseFile = v.pipe(v.string(), v.parseJson(), leaseSchema);
