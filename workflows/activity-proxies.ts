import type { Priority } from '@temporalio/common';
import { type ActivityInterfaceFor, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { ClaimActivities, ClaimedCell, HostActivities } from '../activities/contract.ts';
import { type FailureType, failures } from '../src/domain/failures.ts';
import { claimTaskQueue } from '../src/domain/names.ts';

const seconds = 1000;
const minutes = 60 * seconds;

/** Failures that no second attempt of the same step can mend. */
const final = Object.keys(failures).filter((type) => type !== ('SpawnFailed' satisfies FailureType));

/** What every step shares. The cancellation type is explicit, for the SDK's default tears down under a live agent. */
const common = { cancellationType: 'WAIT_CANCELLATION_COMPLETED' } as const satisfies ActivityOptions;

/** Of steps that are short, and that nobody misses for long. A worker's shutdown uses up an attempt, hence at least three. */
const retry = {
  initialInterval: 1 * seconds,
  backoffCoefficient: 2,
  maximumInterval: 15 * seconds,
  nonRetryableErrorTypes: final,
} as const;

/**
 * Of the steps of a host: tried again as soon as there is a worker, however often that ends meanwhile. What fails by itself is given up
 * by `activities/faults.ts`.
 */
const patient = {
  ...common,
  retry: { ...retry, initialInterval: 3 * seconds, backoffCoefficient: 1, maximumAttempts: Number.POSITIVE_INFINITY },
} as const satisfies ActivityOptions;

/** How long a step may wait for a host that does not say: longer than the restart of a worker. After it the host counts as lost. */
const hostAnswers = 2 * minutes;

/** An agent may be told to work for days: the workflow's own deadline ends it, and heartbeats tell a dead worker. */
const unbounded = 31 * 24 * 60 * minutes;

const steps = {
  spawn: { ...patient, startToCloseTimeout: 10 * minutes, heartbeatTimeout: 15 * seconds },
  execute: { ...patient, startToCloseTimeout: unbounded, heartbeatTimeout: 20 * seconds },
  test: { ...patient, startToCloseTimeout: unbounded, heartbeatTimeout: 20 * seconds },
  commit: {
    ...patient,
    startToCloseTimeout: 5 * minutes,
    scheduleToCloseTimeout: 30 * minutes,
    heartbeatTimeout: 20 * seconds,
  },
  teardown: {
    ...patient,
    startToCloseTimeout: 2 * minutes,
    scheduleToCloseTimeout: 10 * minutes,
    heartbeatTimeout: 20 * seconds,
  },
  message: { ...common, startToCloseTimeout: 1 * minutes, retry: { ...retry, maximumAttempts: 3 } },
} as const satisfies Record<string, ActivityOptions>;

/** The claim: waits in Temporal's queue until a host has room, for `queueTimeout` milliseconds. */
export function anyHost(queueTimeout: number, priority: Priority | undefined): ActivityInterfaceFor<ClaimActivities> {
  return proxyActivities<ClaimActivities>({
    ...common,
    taskQueue: claimTaskQueue,
    // Each attempt may wait so long anew; what all of them may take is said besides, with time for the last one.
    scheduleToStartTimeout: queueTimeout,
    scheduleToCloseTimeout: queueTimeout + 1 * minutes,
    startToCloseTimeout: 30 * seconds,
    // A host whose room has gone while its poll waited gives the claim back, which uses an attempt.
    retry: { ...retry, maximumAttempts: Number.POSITIVE_INFINITY },
    ...(priority ? { priority } : {}),
    summary: 'queue: wait for a host with room',
  });
}

/** The steps of one host, each with the timeouts of its row and a summary that a person can read. */
export function onHost({
  taskQueue,
  hostLostAfterMs = hostAnswers,
}: Pick<ClaimedCell, 'taskQueue' | 'hostLostAfterMs'>) {
  const at = (step: keyof typeof steps, summary: string) =>
    proxyActivities<HostActivities>({
      ...steps[step],
      scheduleToStartTimeout: hostLostAfterMs,
      taskQueue,
      summary: oneLine(summary),
    });
  return {
    spawn: (input: Parameters<HostActivities['spawnCell']>[0]) =>
      at('spawn', `spawn: ${input.request.agentType} on ${input.request.branch}`).spawnCell(input),
    revive: (input: Parameters<HostActivities['reviveCell']>[0]) =>
      at('spawn', 'recover: a new server on the same worktree').reviveCell(input),
    execute: (input: Parameters<HostActivities['executePrompt']>[0]) =>
      at('execute', input.round === 0 ? 'execute: the prompt' : `repair: round ${input.round}`).executePrompt(input),
    test: (input: Parameters<HostActivities['runTests']>[0]) => at('test', `test: ${input.command}`).runTests(input),
    commit: (input: Parameters<HostActivities['commitWork']>[0]) =>
      at('commit', 'commit: the tested tree').commitWork(input),
    revert: (input: Parameters<HostActivities['revertWork']>[0]) =>
      at('commit', `revert: ${input.reason}`).revertWork(input),
    teardown: (input: Parameters<HostActivities['teardownCell']>[0]) =>
      at('teardown', 'teardown: end the server, remove the worktree').teardownCell(input),
    prompt: (input: Parameters<HostActivities['promptAgent']>[0]) =>
      at('message', 'prompt: one more instruction').promptAgent(input),
    extend: (input: Parameters<HostActivities['extendBudget']>[0]) =>
      at('message', `extend: budget ${input.tokenBudget} tokens`).extendBudget(input),
  };
}

/** The Web UI cuts a summary at 120 characters. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 120).toWellFormed();
}

export type HostSteps = ReturnType<typeof onHost>;
