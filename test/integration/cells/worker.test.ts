import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellState, outcomeOf } from '../../../src/client.ts';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { cells } from '../../support/cells-command.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leasesIn } from '../../support/host-state.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { remainsOf } from '../../support/remains.ts';
import { testRuntime } from '../../support/test-runtime.ts';
import { waitingFor } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';

const capacity = 2;

describe('a worker', { timeout: 300_000 }, () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ env: { CELLS_CAPACITY: String(capacity) } })));
  afterAll(() => fleet[Symbol.asyncDispose]());
  const base = () => fleet.metricsUrl.replace(/\/metrics$/, '');

  test('says that it is healthy, serves its metrics, and knows no other path or method', async () => {
    const healthy = await fetch(`${base()}/healthz`);
    expect(healthy.status).toBe(200);
    expect(await healthy.json()).toMatchObject({ healthy: true, host: fleet.hostId });
    expect(base()).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    for (const path of ['/', '/metrics/', '/healthz/x', '/../etc/passwd', '//metrics'])
      expect({ path, status: (await fetch(`${base()}${path}`)).status }).toEqual({ path, status: 404 });
    expect((await fetch(fleet.metricsUrl, { method: 'POST' })).status).toBe(405);
  });

  test('refuses a state directory on which another one runs, and leaves that one alone', async () => {
    const { exitCode, stderr } = await cells(fleet.env, 'worker');
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`another worker runs on ${fleet.stateDirectory}`);
    expect((await fetch(`${base()}/healthz`)).status).toBe(200);
  });

  test.for([
    ['process', 91],
    ['bubblewrap', 69],
  ] as const)(
    'refuses a state directory too long for the sockets of %s cells, as the doctor does',
    async ([runtime, most]) => {
      const long = `${fleet.stateDirectory}${'-'.repeat(100)}`.slice(0, most + 1);
      const env = { ...fleet.env, CELLS_STATE_DIR: long, CELLS_RUNTIME: runtime };
      const { exitCode, stderr } = await cells(env, 'worker');
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`CELLS_STATE_DIR=${long} is too long`);
      expect(stderr).toContain(`at most ${most} bytes`);
      const doctor = await cells(env, 'doctor', '--json');
      expect(doctor.exitCode).toBe(1);
      expect(JSON.parse(doctor.stdout).checks).toContainEqual(
        expect.objectContaining({
          name: 'default runtime',
          verdict: 'problem',
          detail: expect.stringContaining('is too long'),
        }),
      );
      await rm(long, { recursive: true });
    },
  );

  test('never has more cells than its capacity, and the others wait in the queue for their turn', async () => {
    const names = ['one', 'two', 'three', 'four', 'five'];
    const handles = await Promise.all(
      names.map((agentId) => fleet.start('a-few-seconds', { taskId: 'many', agentId })),
    );
    let most = 0;
    const ended = new AbortController();
    const watching = waitUntil(async () => {
      most = Math.max(most, (await leasesIn(fleet.stateDirectory)).length);
      return ended.signal.aborted;
    }, 280_000);
    await waitUntil(() => most === capacity, 60_000);
    const states = await Promise.all(handles.map(({ workflowId }) => cellState(fleet.client, workflowId)));
    const waiting = states.filter(({ step }) => step === 'queue');
    expect(waiting.length).toBeGreaterThanOrEqual(names.length - capacity);
    for (const { lifecycle, cell } of waiting)
      expect({ lifecycle, ...cell }).toMatchObject({ lifecycle: 'created', cellId: null });
    const results = await Promise.all(handles.map((handle) => handle.result()));
    ended.abort();
    await watching;
    expect(results.map(({ status }) => status)).toEqual(names.map(() => 'committed'));
    expect(most).toBe(capacity);
    expect(Math.max(...results.map(({ metrics: { queueMs } }) => queueMs))).toBeGreaterThan(3_000);
  });

  test('counts what became of its cells, by verdict and by failure, with their times and tokens', async () => {
    const before = await scrape(fleet.metricsUrl);
    const outcomes = await Promise.all(
      [
        await fleet.start('edit-file', { testCommand: 'true' }),
        await fleet.start('never-green', { testCommand: 'false', maxRepairs: 0 }),
        await fleet.start('bad-request'),
      ].map((handle) => outcomeOf(handle)),
    );
    expect(outcomes).toMatchObject([
      { result: { status: 'committed' } },
      { result: { status: 'reverted' } },
      { failure: { type: 'ModelUnavailable' } },
    ]);
    const after = await scrape(fleet.metricsUrl);
    const more = (name: string, labels: Record<string, string>) =>
      (valueOf(after, name, labels) ?? 0) - (valueOf(before, name, labels) ?? 0);
    expect(more('cells_completed_total', { status: 'committed' })).toBe(1);
    expect(more('cells_completed_total', { status: 'reverted' })).toBe(1);
    expect(more('cells_failed_total', { type: 'ModelUnavailable' })).toBe(1);
    for (const status of ['committed', 'reverted', 'ModelUnavailable']) {
      for (const part of ['spawn', 'execution', 'teardown', 'total'])
        expect(more(`cells_${part}_duration_seconds_count`, { status, runtime: testRuntime() }), part).toBe(1);
    }
    const [committed, reverted] = outcomes.map((outcome) => (outcome.kind === 'verdict' ? outcome.result : null));
    expect(more('cells_total_duration_seconds_sum', { status: 'committed' })).toBeCloseTo(
      (committed?.metrics.totalMs ?? 0) / 1000,
      3,
    );
    for (const kind of ['input', 'output', 'cacheRead'] as const)
      expect(more('cells_tokens_total', { kind, model: 'scripted/default' }), kind).toBe(
        (committed?.tokens[kind] ?? 0) + (reverted?.tokens[kind] ?? 0),
      );
  });

  test('exports every metric of the contract that has a value, with the labels that it names, and no other of ours', async () => {
    const samples = await scrape(fleet.metricsUrl);
    const exported = new Map(
      samples.filter(({ name }) => name.startsWith('cells_')).map((sample) => [baseOf(sample.name), sample]),
    );
    const withoutValue = new Set<string>([metrics.respawned.name, metrics.reaped.name, metrics.memoryAlerts.name]);
    const expected = Object.values(metrics).filter(({ name }) => !withoutValue.has(name));
    expect([...exported.keys()].toSorted()).toEqual(expected.map(({ name }) => name).toSorted());
    for (const { name, labels } of expected)
      expect(Object.keys(exported.get(name)?.labels ?? {}), name).toEqual(expect.arrayContaining([...labels]));
    expect(valueOf(samples, 'cells_capacity', { host: fleet.hostId })).toBe(capacity);
    expect(valueOf(samples, 'cells_active', { host: fleet.hostId, runtime: 'process' })).toBe(0);
    expect(samples.some(({ name }) => name.startsWith('temporal_'))).toBe(true);
  });

  test('ends with 0 while cells are at work, within a bounded time, and the next one ends them', async () => {
    const cell = await fleet.start('slow');
    await waitUntil(() => waitingFor(fleet.model, 'slow', 2) === 1, 120_000);
    const samples = await scrape(fleet.metricsUrl);
    expect(valueOf(samples, 'cells_active', { runtime: testRuntime() })).toBe(1);
    expect(valueOf(samples, 'cells_ports_in_use')).toBe(1);
    expect(valueOf(samples, 'cells_memory_bytes')).toBeGreaterThan(50 * 1024 * 1024);
    const { cellId, port } = (await cellState(fleet.client, cell.workflowId)).cell;
    const before = Date.now();
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    expect(errorsIn(fleet.worker.log())).toEqual([]);
    expect(Date.now() - before).toBeLessThan(40_000);
    await fleet.startWorker();
    await fleet.client.workflow.getHandle(cell.workflowId).cancel();
    expect(await outcomeOf(cell)).toMatchObject({ failure: { type: 'Cancelled' } });
    expect(await remainsOf(fleet, cellId ?? '', port ?? 0)).toEqual([]);
  });

  test('ends with 0 while it is idle, within seconds, at either signal', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const before = Date.now();
      expect(await fleet.worker.end(signal)).toBe(0);
      expect(errorsIn(fleet.worker.log())).toEqual([]);
      expect(Date.now() - before).toBeLessThan(20_000);
      await expect(fetch(`${base()}/healthz`)).rejects.toThrow();
      await fleet.startWorker();
    }
  });
});

/** A histogram is exported as three series. */
const baseOf = (name: string): string => name.replace(/_(bucket|sum|count)$/, '');

/** What a worker logged as an error or worse; a line that is not JSON is worse. */
const errorsIn = (log: string): string[] =>
  log.split('\n').filter((line) => line !== '' && !/^\{"level":[1-4]0,/.test(line));
