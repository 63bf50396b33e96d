import { rm, writeFile } from 'node:fs/promises';
import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type CellHandle,
  type CellRequest,
  cancelCell,
  cellState,
  describeCell,
  outcomeOf,
} from '../../../src/client.ts';
import { hostPaths } from '../../../src/cell/paths.ts';
import { workflowTaskQueue } from '../../../src/domain/names.ts';
import { cells } from '../../support/cells-command.ts';
import { failureOf } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { holdSpawns } from '../../support/held-spawns.ts';
import { leasesIn } from '../../support/host-state.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { waitUntil } from '../../support/wait-until.ts';

const patience = 240_000;
/** A cell that ends, without a server, as soon as it has been claimed. */
const brief = { branch: 'nowhere' } satisfies Partial<CellRequest>;

describe('cells that wait for a host with one place', { timeout: 480_000 }, () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ env: { CELLS_CAPACITY: '1' } })), patience);
  afterAll(() => fleet[Symbol.asyncDispose](), patience);

  test('are told why: by show from anywhere, by the host itself, by doctor and by the metrics', async () => {
    await using _place = await occupy(fleet, 'told');
    const waiting = await fleet.start('edit-file', { agentId: 'waiting' });
    await waitUntil(async () => (await describeCell(fleet.client, waiting.workflowId)).queue?.waiting === 1, patience);
    const { queue, state } = await describeCell(fleet.client, waiting.workflowId);
    expect(state).toMatchObject({ step: 'queue', waitingFor: 'a host with room (task queue agent-cells-claim)' });
    expect(queue?.hosts).toMatchObject([{ host: fleet.hostId }]);
    expect(queue?.why).toBe(
      `one host is known (${fleet.hostId}), and it asks for no cell just now: it is full, or short of memory, disk or ports, or spawns fail there`,
    );
    await waitUntil(async () => (await admissionOf(fleet)).reason === 'full', patience);
    const shown = await cells(fleet.env, 'show', 'task/waiting');
    expect(shown.stdout).toContain(queue?.why);
    expect(shown.stdout).toMatch(
      new RegExp(`${fleet.hostId} claims cells: no, for \\S+: full: 1 of 1 places are taken`),
    );
    const json: unknown = JSON.parse((await cells(fleet.env, 'show', 'task/waiting', '--json')).stdout);
    expect(json).toMatchObject({ queue: { waiting: 1, why: queue?.why }, thisHost: { claims: false, reason: 'full' } });
    const elsewhere = { ...fleet.env, CELLS_STATE_DIR: `${fleet.stateDirectory}-of-another-host` };
    expect(JSON.parse((await cells(elsewhere, 'show', 'task/waiting', '--json')).stdout)).toMatchObject({
      queue: { waiting: 1 },
      thisHost: null,
    });
    expect(await checkOf(fleet, 'claims cells')).toMatchObject({
      verdict: 'ok',
      detail: expect.stringMatching(/^no, for .*: full: 1 of 1 places are taken$/) as string,
    });
    const samples = await scrape(fleet.metricsUrl);
    expect(valueOf(samples, 'cells_claiming', { host: fleet.hostId })).toBe(0);
    expect(valueOf(samples, 'cells_refusing', { host: fleet.hostId, reason: 'full' })).toBe(1);
    expect(valueOf(samples, 'cells_refusing', { host: fleet.hostId, reason: 'memory' })).toBe(0);
    await cancelCell(fleet.client, waiting.workflowId);
    await outcomeOf(waiting);
  });

  test('come by priority, then in turn by fairness key, and else in the order of their start', async () => {
    const place = await occupy(fleet, 'ordered');
    const started: CellHandle[] = [];
    const wanted: [agentId: string, priority?: CellRequest['priority']][] = [
      ['low', { priorityKey: 5 }],
      ['plain'],
      ['a1', { priorityKey: 2, fairnessKey: 'a' }],
      ['a2', { priorityKey: 2, fairnessKey: 'a' }],
      ['a3', { priorityKey: 2, fairnessKey: 'a' }],
      ['b1', { priorityKey: 2, fairnessKey: 'b' }],
      ['high', { priorityKey: 1 }],
    ];
    for (const [agentId, priority] of wanted) {
      started.push(await fleet.start('edit-file', { agentId, ...brief, ...(priority ? { priority } : {}) }));
      await waitUntil(async () => (await backlog(fleet)) === started.length, patience);
    }
    await place[Symbol.asyncDispose]();
    const claimed = await Promise.all(started.map((handle) => claimedAt(fleet.client, handle)));
    const order = claimed.toSorted((one, other) => one.at - other.at).map(({ agentId }) => agentId);
    expect(order.at(0)).toBe('high');
    expect(order.slice(-2)).toEqual(['plain', 'low']);
    expect(order.indexOf('b1'), 'one of many of another key does not wait for all of them').toBeLessThan(
      order.indexOf('a3'),
    );
    expect(order.filter((agentId) => agentId.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
  });

  // The last of these: what was terminated counts as waiting until a host with a free place has asked for it.
  test('wait in Temporal, a thousand at once: none takes a place, and the worker does not grow with them', async () => {
    await using _place = await occupy(fleet, 'thousand');
    const start = async (from: number, to: number) => {
      for (let next = from; next < to; next += 50) {
        const agents = Array.from({ length: Math.min(50, to - next) }, (_, index) => `a${next + index}`);
        await Promise.all(agents.map((agentId) => fleet.start('edit-file', { taskId: 'many', agentId })));
      }
      await waitUntil(async () => (await backlog(fleet)) >= to, patience);
    };
    await start(0, 300);
    const before = await cachedWorkflows(fleet);
    await start(300, 1000);
    expect(await leasesIn(fleet.stateDirectory)).toHaveLength(1);
    expect(before).toBeGreaterThan(0);
    expect(await cachedWorkflows(fleet), 'workflows that the worker remembers').toBeLessThanOrEqual(before);
    const open = await Array.fromAsync(fleet.client.workflow.list({ query: "CellTaskId = 'many'" }));
    for (let next = 0; next < 1000; next += 50) {
      const agents = Array.from({ length: 50 }, (_, index) => `cell/many/a${next + index}`);
      await Promise.all(agents.map((id) => fleet.client.workflow.getHandle(id).terminate('the test is over')));
    }
    expect(open.length).toBeGreaterThan(0);
  });
});

describe('a host on which spawns fail', { timeout: 600_000 }, () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet()), patience);
  afterAll(() => fleet[Symbol.asyncDispose](), patience);
  const artifacts = () => hostPaths(fleet.stateDirectory).artifacts;
  afterEach(() => rm(artifacts(), { recursive: true, force: true }));

  test('goes on where requests are at fault', async () => {
    const faulty = await Promise.all(
      Array.from({ length: 6 }, (_, index) => fleet.start('edit-file', { agentId: `faulty-${index}`, ...brief })),
    );
    for (const cell of faulty) expect((await failureOf(fleet.client, cell)).type).toBe('RepositoryError');
    expect(await checkOf(fleet, 'spawns')).toMatchObject({ verdict: 'ok' });
    expect((await admissionOf(fleet)).breaker).toEqual({ state: 'closed', failures: 0, nextTryAt: null });
  });

  test('claims nothing for a minute when five have failed, then tries one, and goes on when that is well', async () => {
    await rm(artifacts(), { recursive: true, force: true });
    await writeFile(artifacts(), 'not a directory');
    const broken = await Promise.all(
      Array.from({ length: 5 }, (_, index) => fleet.start('edit-file', { agentId: `broken-${index}` })),
    );
    await waitUntil(async () => (await admissionOf(fleet)).reason === 'breaker', patience);
    const late = await fleet.start('edit-file', { agentId: 'late' });
    const samples = await scrape(fleet.metricsUrl);
    expect(valueOf(samples, 'cells_spawn_breaker', { host: fleet.hostId, state: 'open' })).toBe(1);
    expect(valueOf(samples, 'cells_claiming', { host: fleet.hostId })).toBe(0);
    const { exitCode, stdout } = await cells(fleet.env, 'doctor');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/spawns +the circuit breaker is open: spawns failed one after the other, one is tried in /);
    expect(stdout).toMatch(/claims cells +no, for \S+: breaker: /);
    for (const cell of broken) await cancelCell(fleet.client, cell.workflowId);
    for (const cell of broken) await outcomeOf(cell);
    const { nextTryAt } = (await admissionOf(fleet)).breaker;
    expect((await cellState(fleet.client, late.workflowId)).step).toBe('queue');
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
    await rm(artifacts());
    const { metrics } = await late.result();
    const description = await fleet.client.workflow.getHandle(late.workflowId).describe();
    expect(description.startTime.getTime() + metrics.queueMs).toBeGreaterThanOrEqual(nextTryAt ?? Infinity);
    await waitUntil(async () => (await admissionOf(fleet)).breaker.state === 'closed', patience);
    expect(await checkOf(fleet, 'spawns')).toMatchObject({ verdict: 'ok' });
  });
});

/** Takes the only place of a host with a cell that stays in its spawn. Disposing it ends the cell. */
async function occupy(fleet: Fleet, taskId: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const held = stack.use(await holdSpawns(fleet.repository.path));
  const cell = await fleet.start('edit-file', { taskId, agentId: 'first' });
  const isFirst = async () => (await leasesIn(fleet.stateDirectory))[0]?.owner.taskId === taskId;
  await waitUntil(isFirst, patience);
  stack.move();
  return {
    async [Symbol.asyncDispose]() {
      await cancelCell(fleet.client, cell.workflowId);
      await held[Symbol.asyncDispose]();
      await outcomeOf(cell);
    },
  };
}

/** What `/healthz` says of claims. */
async function admissionOf(fleet: Fleet) {
  const health = (await (await fetch(fleet.metricsUrl.replace(/metrics$/, 'healthz'))).json()) as {
    admission: { reason: string | null; breaker: { state: string; failures: number; nextTryAt: number | null } };
  }; // the test looks into it
  return health.admission;
}

async function checkOf(fleet: Fleet, name: string): Promise<unknown> {
  const { checks } = JSON.parse((await cells(fleet.env, 'doctor', '--json')).stdout) as { checks: { name: string }[] }; // as above
  return checks.find((check) => check.name === name);
}

async function backlog({ client }: Fleet): Promise<number> {
  const { stats } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: 'agent-cells-claim' },
    taskQueueType: 2,
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

async function claimedAt(client: Client, { workflowId }: CellHandle): Promise<{ agentId: string; at: number }> {
  const { report } = await failureOf(client, { workflowId });
  const { startTime } = await client.workflow.getHandle(workflowId).describe();
  return { agentId: report.agentId, at: startTime.getTime() + report.metrics.queueMs };
}

/** How many workflows the worker has in its memory. */
async function cachedWorkflows(fleet: Fleet): Promise<number> {
  return (
    valueOf(await scrape(fleet.metricsUrl), 'temporal_sticky_cache_size', { task_queue: workflowTaskQueue }) ?? NaN
  );
}
