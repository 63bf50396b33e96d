import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  abortCell,
  cancelCell,
  cellState,
  connectTemporal,
  describeCell,
  listCells,
  openCell,
  startCell,
  temporalTarget,
  watchCell,
  type TemporalConnection,
  type WatchedCell,
} from '../../../src/client.ts';
import { startRelay } from '../../support/relay.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** No worker polls the shared server's default namespace: what is started stays as it is. */
describe('the client', () => {
  let temporal: TemporalConnection;
  const taskId = `client-${randomBytes(4).toString('hex')}`;
  const started: string[] = [];

  beforeAll(async () => {
    temporal = await connectTemporal(
      temporalTarget({ TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_CONFIG_FILE: '/dev/null' }),
    );
  });

  afterAll(async () => {
    for (const workflowId of started)
      await temporal.client.workflow.getHandle(workflowId).terminate('the test is over');
    await temporal[Symbol.asyncDispose]();
  });

  async function start(agentId: string) {
    const handle = await startCell(temporal.client, {
      taskId,
      agentId,
      prompt: 'Do nothing',
      labels: { team: 'blue' },
    });
    started.push(handle.workflowId);
    return handle;
  }

  test('starts a cell under the id of its task and agent', async () => {
    const handle = await start('a1');
    expect(handle.workflowId).toBe(`cell/${taskId}/a1`);
    const described = await temporal.client.workflow.getHandle(handle.workflowId).describe();
    expect(described).toMatchObject({
      type: 'agentCell',
      taskQueue: 'agent-cells',
      runId: handle.runId,
      memo: { labels: { team: 'blue' } },
    });
    expect(await described.staticSummary()).toBe(`${taskId}/a1: Do nothing`);
    expect(described.raw.executionConfig?.workflowExecutionTimeout?.seconds?.toString() ?? '0').toBe('0');
  });

  test('refuses to start a cell that runs', async () => {
    await start('a2');
    await expect(startCell(temporal.client, { taskId, agentId: 'a2', prompt: 'Again' })).rejects.toMatchObject({
      code: 'CellAlreadyRunning',
    });
  });

  test('tells what a cell waits for that no worker has taken', async () => {
    const { workflowId } = await start('a3');
    const state = await cellState(temporal.client, workflowId);
    expect(state).toMatchObject({ lifecycle: 'created', step: 'queue', status: 'running', complete: false });
    expect(state.waitingFor).toContain('task queue agent-cells');
  });

  test('watches a cell until its workflow has closed', async () => {
    const { workflowId, runId } = await start('a4');
    const seen: WatchedCell[] = [];
    for await (const cell of watchCell(temporal.client, workflowId, { runId, intervalMs: 100 })) {
      seen.push(cell);
      if (seen.length === 1) await temporal.client.workflow.getHandle(workflowId).terminate('by hand');
    }
    started.splice(started.indexOf(workflowId), 1);
    expect(seen.map(({ status }) => status)).toEqual(['running', 'terminated']);
  });

  test('stops watching when it is told to', async () => {
    const { workflowId } = await start('a5');
    const controller = new AbortController();
    const seen: WatchedCell[] = [];
    for await (const cell of watchCell(temporal.client, workflowId, { signal: controller.signal })) {
      seen.push(cell);
      controller.abort();
    }
    expect(seen).toHaveLength(1);
  });

  test('stops waiting for a result when it is told to', async () => {
    const handle = await start('a6');
    await expect(handle.result({ signal: AbortSignal.timeout(200) })).rejects.toThrow(/timeout/i);
  });

  test('tells a terminated cell from a failed one, and that it cannot be cancelled any more', async () => {
    const handle = await start('a7');
    await temporal.client.workflow.getHandle(handle.workflowId).terminate('by hand');
    started.splice(started.indexOf(handle.workflowId), 1);
    await expect(handle.result()).rejects.toMatchObject({ name: 'CellFailure', type: 'Terminated' });
    const { outcome, listing } = await describeCell(temporal.client, handle.workflowId);
    expect(outcome).toMatchObject({ kind: 'failure', failure: { type: 'Terminated' } });
    expect(listing.status).toBe('terminated');
    expect(await cancelCell(temporal.client, handle.workflowId)).toBe(false);
  });

  test('keeps the reason of a cancellation in the history', async () => {
    const { workflowId } = await start('a8');
    expect(await cancelCell(temporal.client, workflowId, { reason: 'not needed any more' })).toBe(true);
    const history = await temporal.client.workflow.getHandle(workflowId).fetchHistory();
    expect(JSON.stringify(history)).toContain('not needed any more');
  });

  test('lists cells without a worker, the newest first', async () => {
    const first = await start('b1');
    const second = await start('b2');
    const ids = async () =>
      (await listCells(temporal.client, { status: 'running', limit: 500 }))
        .filter((cell) => cell.taskId === taskId && cell.agentId?.startsWith('b'))
        .map(({ workflowId }) => workflowId);
    await waitUntil(async () => (await ids()).length === 2);
    expect(await ids()).toEqual([second.workflowId, first.workflowId]);
  });

  test('says that there is no such cell', async () => {
    const missing = { code: 'CellNotFound' };
    const { client } = temporal;
    await expect(openCell(client, 'cell/no/no')).rejects.toMatchObject(missing);
    await expect(describeCell(client, 'cell/no/no')).rejects.toMatchObject(missing);
    await expect(cancelCell(client, 'cell/no/no')).rejects.toMatchObject(missing);
    await expect(watchCell(client, 'cell/no/no').next()).rejects.toMatchObject(missing);
  });
});

test('a namespace that the server does not know is named, with what to do, whatever is asked', async () => {
  const address = inject('temporalAddress');
  await using temporal = await connectTemporal(
    temporalTarget({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'nowhere', TEMPORAL_CONFIG_FILE: '/dev/null' }),
  );
  const { client } = temporal;
  const refused = {
    code: 'TemporalRefused',
    message: expect.stringMatching(/does not know the namespace .*nowhere/),
    try: expect.stringContaining('TEMPORAL_NAMESPACE'),
  };
  await expect(startCell(client, { taskId: 't', agentId: 'a', prompt: 'Do it.' })).rejects.toMatchObject(refused);
  await expect(describeCell(client, 'cell/t/a')).rejects.toMatchObject(refused);
  await expect(listCells(client)).rejects.toMatchObject(refused);
  await expect(cancelCell(client, 'cell/t/a')).rejects.toMatchObject(refused);
  await expect(abortCell(client, 'cell/t/a', 'no use')).rejects.toMatchObject(refused);
});

test('a server that is not there is named, with what to do, within seconds', async () => {
  const begun = Date.now();
  const error = await connectTemporal(temporalTarget({ TEMPORAL_ADDRESS: '127.0.0.1:1' })).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'TemporalUnreachable' });
  expect(String(error)).toContain('127.0.0.1:1');
  expect(Date.now() - begun).toBeLessThan(10_000);
});

test('closing while a call waits to be tried again ends in order', async () => {
  await using way = await startRelay(inject('temporalAddress'));
  const uncaught: unknown[] = [];
  const note = (error: unknown) => void uncaught.push(error);
  process.on('uncaughtException', note);
  try {
    let call: Promise<unknown>;
    {
      await using temporal = await connectTemporal(
        temporalTarget({ TEMPORAL_ADDRESS: way.address, TEMPORAL_CONFIG_FILE: '/dev/null' }),
      );
      way.cut();
      call = temporal.client.workflow.count().catch((error: unknown) => error);
      // Its first attempt has failed by then, as its connection was cut before.
      await delay(500);
    }
    expect(await call).toBeInstanceOf(Error);
    expect(uncaught).toEqual([]);
  } finally {
    process.removeListener('uncaughtException', note);
  }
});
