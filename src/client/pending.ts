import type { WorkflowExecutionDescription } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { ExecuteProgress, HostActivities } from '../../activities/contract.ts';
import { claimGivenBack, claimTaskQueue, workflowTaskQueue } from '../domain/names.ts';

/** A step that the workflow waits for. */
export interface PendingStep {
  activity: string;
  /** `waiting` for a worker to take it, or for its next attempt. */
  state: 'waiting' | 'running' | 'cancelling' | 'paused';
  attempt: number;
  /** Of the attempt before this one. */
  lastFailure: string | null;
  /** The worker process that has it. */
  worker: string | null;
  /** Milliseconds since the epoch. */
  lastHeartbeat: number | null;
}

/** What the agent does at this moment, told by the heartbeat of its step. */
export interface LiveProgress extends ExecuteProgress {
  /** When the heartbeat came, milliseconds since the epoch. */
  at: number;
}

/** The steps that a workflow waits for now. */
export function pendingSteps(description: WorkflowExecutionDescription): PendingStep[] {
  return (description.raw.pendingActivities ?? []).map((activity) => ({
    activity: activity.activityType?.name ?? 'unknown',
    state: states.get(Number(activity.state)) ?? 'waiting',
    attempt: activity.attempt ?? 1,
    lastFailure: activity.lastFailure?.message ?? null,
    worker: activity.lastWorkerIdentity || null,
    lastHeartbeat: millisecondsOf(activity.lastHeartbeatTime),
  }));
}

/** The progress of the running agent; null while none runs or nothing was heard of it. */
export function liveProgress(description: WorkflowExecutionDescription): LiveProgress | null {
  const name: keyof HostActivities = 'executePrompt';
  const activity = description.raw.pendingActivities?.find(({ activityType }) => activityType?.name === name);
  const payload = activity?.heartbeatDetails?.payloads?.[0];
  if (payload === undefined) return null;
  const progress = defaultPayloadConverter.fromPayload<ExecuteProgress>(payload);
  return { ...progress, at: millisecondsOf(activity?.lastHeartbeatTime) ?? Date.now() };
}

/** What a cell waits for, in words; null when it waits for nothing but its own work. */
export function waitingFor(description: WorkflowExecutionDescription): string | null {
  if (description.status.name !== 'RUNNING') return null;
  const steps = pendingSteps(description);
  if (steps.length === 0 && description.historyLength <= 2) {
    return `a workflow worker (task queue ${workflowTaskQueue})`;
  }
  if (waitsForHost(description)) return `a host with room (task queue ${claimTaskQueue})`;
  const [step] = steps.filter(
    ({ state, lastFailure }) => state === 'paused' || state === 'waiting' || lastFailure !== null,
  );
  if (step === undefined) return null;
  if (step.state === 'paused') return `an operator: ${step.activity} is paused`;
  if (step.lastFailure !== null) return `attempt ${step.attempt} of ${step.activity}, after: ${step.lastFailure}`;
  return `the worker of its host, to take ${step.activity}`;
}

/** Whether the cell waits in Temporal's queue for a host; one that a host has given back waits there again. */
export function waitsForHost({ raw }: WorkflowExecutionDescription): boolean {
  const claim = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'claimHost');
  if (claim === undefined || states.get(Number(claim.state)) !== 'waiting') return false;
  return (claim.attempt ?? 1) <= 1 || claim.lastFailure?.applicationFailureInfo?.type === claimGivenBack;
}

/** The server's numbers for the states of an activity. */
const states = new Map<number, PendingStep['state']>([
  [1, 'waiting'],
  [2, 'running'],
  [3, 'cancelling'],
  [4, 'paused'],
  [5, 'paused'],
]);

function millisecondsOf(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number | null {
  return time ? Number(time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6) : null;
}
