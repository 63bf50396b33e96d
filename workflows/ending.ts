import { ActivityFailure, ApplicationFailure, TimeoutFailure, isCancellation } from '@temporalio/workflow';
import type { AgentUsage, FailedExecuteDetail } from '../activities/contract.ts';
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
  /** What the agent had used. */
  usage?: AgentUsage;
  lost?: Lost;
  /** The agent said nothing for too long, on a server that is well. */
  hangs?: true;
  /** The server was ended for the memory limit of its cell. */
  outOfMemory?: true;
}

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
    const lost: { lost?: Lost } = root.type === 'CellLost' ? { lost: hasClosed(root) ? 'closed' : 'cell' } : {};
    const known = { ...ofAgent(root, step), ...lost };
    return { kind: 'failure', type: root.type, reason: root.message, ...causeOf(error), ...known };
  }
  return { kind: 'failure', type: failureOfStep[step], reason: `${step}: ${asError(root).message}`, ...causeOf(error) };
}

const hasClosed = ({ cause }: ApplicationFailure): boolean =>
  cause instanceof ApplicationFailure && cause.type === hostCloses;

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
  if (timeout.timeoutType === 'SCHEDULE_TO_START') {
    return {
      kind: 'failure',
      type: 'CellLost',
      reason: `the host of the cell no longer answers (${step})`,
      lost: 'host',
    };
  }
  return { kind: 'failure', type: failureOfStep[step], reason: `${step} did not end in time (${timeout.timeoutType})` };
}

/** Of the steps only those of the agent give their failures a detail, and this is its type. */
function ofAgent({ details }: ApplicationFailure, step: Step): Pick<FailedEnding, 'usage' | 'hangs' | 'outOfMemory'> {
  if ((step !== 'execute' && step !== 'repair') || details?.[0] === undefined) return {};
  const { hangs, outOfMemory, ...usage } = details[0] as FailedExecuteDetail;
  return { usage, ...(hangs ? { hangs } : {}), ...(outOfMemory ? { outOfMemory } : {}) };
}

function causeOf(error: unknown): { cause?: Error } {
  return error instanceof Error ? { cause: error } : {};
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
