import { ActivityFailure, ApplicationFailure, TimeoutFailure, isCancellation, patched } from '@temporalio/workflow';
import type { AgentUsage, ClosedCellDetail, ExecuteProgress, FailedExecuteDetail } from '../activities/contract.ts';
import { type FailureType, isFailureType } from '../src/domain/failures.ts';
import type { Step } from '../src/domain/lifecycle.ts';
import { claimGivenBack, hostCloses } from '../src/domain/names.ts';
import type { CellStatus } from '../src/domain/outcome.ts';
import type { StopReason } from './stop.ts';

/** How a cell ends: with a verdict, without one, or because its caller cancelled it. */
export type Ending =
  | { kind: 'verdict'; status: CellStatus; reason: string }
  | FailedEnding
  | { kind: 'cancelled'; error: Error };

export interface FailedEnding {
  kind: 'failure';
  type: FailureType;
  reason: string;
  cause?: Error;
  /** What the agent had used, as far as it is known. */
  usage?: KnownUsage;
  lost?: Lost;
  /** The ref under which a host that ended the cell kept its work. */
  revertedRef?: string;
  /** The agent said nothing for too long, on a server that is well. */
  hangs?: true;
  /** The server was ended for the memory limit of its cell. */
  outOfMemory?: true;
}

/** Of an agent whose host does not answer any more, only what its last heartbeat said. */
export type KnownUsage = Pick<AgentUsage, 'tokens' | 'lastActivity'> & Partial<AgentUsage>;

/** What of a cell is gone: its host does not answer; it does, and the cell is not there; or the host ended its cells and is about to go. */
export type Lost = 'host' | 'cell' | 'closed';

/** Puts what cut a cell's work short into one of the known endings. */
export function endingOf(error: unknown, stopped: StopReason | null, step: Step): Ending {
  if (stopped?.kind === 'abort') return { kind: 'verdict', status: 'reverted', reason: stopped.reason };
  if (stopped?.kind === 'timeout') {
    return {
      kind: 'failure',
      type: 'CellTimedOut',
      reason: `the cell reached its timeout during ${step}`,
      ...causeOf(error),
    };
  }
  if (isCancellation(error)) return { kind: 'cancelled', error: asError(error) };
  const root = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  // What was given back is tried again until there is no time for it: then the server answers with that, and not with a timeout.
  if (step === 'queue' && root instanceof ApplicationFailure && root.type === claimGivenBack)
    return { ...queueTimedOut, ...causeOf(error) };
  if (root instanceof TimeoutFailure) return { ...timedOut(root, step), ...causeOf(error) };
  if (root instanceof ApplicationFailure && isFailureType(root.type)) {
    const known = hasClosed(root) ? ofClosed(root) : ofAgent(root, step);
    return { kind: 'failure', type: root.type, reason: root.message, ...causeOf(error), ...known };
  }
  return { kind: 'failure', type: failureOfStep[step], reason: `${step}: ${asError(root).message}`, ...causeOf(error) };
}

const hasClosed = ({ type, cause }: ApplicationFailure): boolean =>
  type === 'CellLost' && cause instanceof ApplicationFailure && cause.type === hostCloses;

/** What it means when a step fails in a way that no activity has a name for. */
const failureOfStep = {
  queue: 'SpawnFailed',
  spawn: 'SpawnFailed',
  execute: 'AgentFailed',
  repair: 'AgentFailed',
  test: 'CellLost',
  commit: 'CommitFailed',
  revert: 'CommitFailed',
  teardown: 'CellLost',
} as const satisfies Record<Step, FailureType>;

const queueTimedOut = {
  kind: 'failure',
  type: 'QueueTimedOut',
  reason: 'no host had room for the cell within queueTimeout',
} as const satisfies FailedEnding;

/** The retry state differs between server versions: only the type of the timeout says what happened. */
function timedOut(timeout: TimeoutFailure, step: Step): FailedEnding {
  if (step === 'queue') return queueTimedOut;
  const known = ofHeartbeat(timeout, step);
  if (timeout.timeoutType === 'SCHEDULE_TO_START') {
    return {
      kind: 'failure',
      type: 'CellLost',
      reason: `the host of the cell no longer answers (${step})`,
      lost: 'host',
      ...known,
    };
  }
  return {
    kind: 'failure',
    type: failureOfStep[step],
    reason: `${step} did not end in time (${timeout.timeoutType})`,
    ...known,
  };
}

/** The server hands on the last heartbeat of a step whose worker does not answer any more. */
function ofHeartbeat({ lastHeartbeatDetails }: TimeoutFailure, step: Step): Pick<FailedEnding, 'usage'> {
  if (!isOfAgent(step) || !lastHeartbeatDetails || !patched('usage-of-heartbeat')) return {};
  // The type of what these steps send.
  const { tokens } = lastHeartbeatDetails as ExecuteProgress;
  return { usage: { tokens, lastActivity: null } };
}

const isOfAgent = (step: Step): boolean => step === 'execute' || step === 'repair';

/** A host of an earlier version does not say what it kept, nor does one whose agent had not begun. */
function ofClosed({ details }: ApplicationFailure): Pick<FailedEnding, 'lost' | 'usage' | 'revertedRef'> {
  if (details?.[0] === undefined) return { lost: 'closed' };
  // The type of what a host says that has ended a cell.
  const { revertedRef, ...usage } = details[0] as ClosedCellDetail;
  return { lost: 'closed', usage, ...(revertedRef === null ? {} : { revertedRef }) };
}

/** Of the steps only those of the agent give their failures a detail, and this is its type. */
function ofAgent(
  { type, details }: ApplicationFailure,
  step: Step,
): Pick<FailedEnding, 'lost' | 'usage' | 'hangs' | 'outOfMemory'> {
  const lost = type === 'CellLost' ? { lost: 'cell' as const } : {};
  if (!isOfAgent(step) || details?.[0] === undefined) return lost;
  const { hangs, outOfMemory, ...usage } = details[0] as FailedExecuteDetail;
  return { ...lost, usage, ...(hangs ? { hangs } : {}), ...(outOfMemory ? { outOfMemory } : {}) };
}

function causeOf(error: unknown): { cause?: Error } {
  return error instanceof Error ? { cause: error } : {};
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
