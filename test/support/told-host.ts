import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { inject } from 'vitest';
import type { AgentUsage, ClaimActivities, ClaimedCell, HostActivities } from '../../activities/contract.ts';
import type { CellRequest } from '../../src/client.ts';
import { claimTaskQueue, hostTaskQueue, workflowIdOf, workflowTaskQueue } from '../../src/domain/names.ts';
import { noTokens } from '../../src/domain/outcome.ts';
import { registerSearchAttributes } from '../../src/worker/search-attributes.ts';
import { makeNamespace } from './bring-up-fleet.ts';
import { waitUntil } from './wait-until.ts';

type Steps = ClaimActivities & HostActivities;

/**
 * A host whose steps do as the test tells them, for workflows at moments to which a real host cannot be brought without hours of
 * waiting. The workflows and the Temporal server are the real ones.
 */
export interface ToldHost extends AsyncDisposable {
  client: Client;
  /** Starts a cell whose steps go well, but for these. */
  start(agentId: string, steps?: Partial<Steps>, request?: Partial<CellRequest>): Promise<WorkflowHandle>;
  /** The steps that were run for a cell, in their order. */
  stepsOf(cell: WorkflowHandle): readonly string[];
}

const taskId = 'told';
const hostId = 'told';
const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

export async function startToldHost(): Promise<ToldHost> {
  await using stack = new AsyncDisposableStack();
  const address = inject('temporalAddress');
  const namespace = await makeNamespace(address, `told-${process.pid}`);
  const connection = await Connection.connect({ address });
  stack.defer(() => connection.close());
  await registerSearchAttributes(connection, namespace);
  const client = new Client({ connection, namespace });

  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const native = await NativeConnection.connect({ address });
  stack.defer(() => native.close());
  const told = new Map<string, Partial<Steps>>();
  const done = new Map<string, string[]>();
  const common = {
    connection: native,
    namespace,
    shutdownForceTime: '5s' as const,
    activities: activitiesOf(told, done),
  };
  const workers = await Promise.all([
    Worker.create({ connection: native, namespace, taskQueue: workflowTaskQueue, workflowsPath }),
    Worker.create({ ...common, taskQueue: claimTaskQueue }),
    Worker.create({ ...common, taskQueue: hostTaskQueue(hostId) }),
  ]);
  const running = workers.map((worker) => worker.run());
  stack.defer(async () => {
    for (const worker of workers) worker.shutdown();
    // A step that a failed test left waiting is not waited for.
    await Promise.allSettled(running);
  });
  const owned = stack.move();
  return {
    client,
    start(agentId, steps = {}, request = {}) {
      const workflowId = workflowIdOf({ taskId, agentId });
      told.set(workflowId, steps);
      const args = [{ taskId, agentId, prompt: 'Do it.', ...request }];
      return client.workflow.start('agentCell', { workflowId, taskQueue: workflowTaskQueue, args });
    },
    stepsOf: ({ workflowId }) => done.get(workflowId) ?? [],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits until the workflow has taken in that it is to end, and its step has been told to. */
export async function untilStepIsToEnd(cell: WorkflowHandle): Promise<void> {
  await waitUntil(async () => {
    const { events } = await cell.fetchHistory();
    return (events ?? []).some((event) => event.activityTaskCancelRequestedEventAttributes);
  }, 60_000);
}

/** What an agent used that has used so many tokens. */
export const usageOf = (total: number): AgentUsage => ({
  tokens: { ...noTokens, input: total, total },
  cost: null,
  summary: 'Done.',
  lastActivity: 1,
});

const cellId = '0123456789abcdef';

/** What a host answers to a cell that it has claimed. */
export const claimed: ClaimedCell = {
  cellId,
  host: hostId,
  taskQueue: hostTaskQueue(hostId),
  runtime: 'process',
  model: 'scripted/default',
  repository: null,
};

const well: Steps = {
  claimHost: () => Promise.resolve(claimed),
  spawnCell: () =>
    Promise.resolve({
      cellId,
      port: 9000,
      worktree: '/worktree',
      baseCommit: 'b',
      versions: { agentCells: '0', opencode: '0' },
    }),
  reviveCell: (input) => well.spawnCell(input),
  executePrompt: () => Promise.resolve({ kind: 'finished', usage: usageOf(10) }),
  runTests: () =>
    Promise.resolve({
      outcome: 'passed',
      exitCode: 0,
      durationMs: 1,
      outputTail: '',
      tree: 't',
      changed: true,
      protectedPathsTouched: [],
    }),
  commitWork: () =>
    Promise.resolve({ kind: 'committed', branch: 'x', commit: 'c', filesModified: [], protectedPathsTouched: [] }),
  revertWork: () => Promise.resolve({ revertedRef: null, filesModified: [], usage: null }),
  teardownCell: () => Promise.resolve({ released: [], alreadyGone: [] }),
  promptAgent: () => Promise.resolve(),
  extendBudget: () => Promise.resolve(),
};

function activitiesOf(told: ReadonlyMap<string, Partial<Steps>>, done: Map<string, string[]>) {
  const step =
    (name: keyof Steps) =>
    (input: unknown): Promise<unknown> => {
      const workflowId = Context.current().info.workflowExecution?.workflowId ?? '';
      done.set(workflowId, [...(done.get(workflowId) ?? []), name]);
      // What a workflow gives a step is what that step takes: the proxies of the workflow have its type.
      const run = (told.get(workflowId)?.[name] ?? well[name]) as (given: unknown) => Promise<unknown>;
      return run(input);
    };
  return Object.fromEntries(Object.keys(well).map((name) => [name, step(name as keyof Steps)])); // its keys are its steps
}
