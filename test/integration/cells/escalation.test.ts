import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { findLimitRoot } from '../../../src/runtimes/limit-root.ts';
import { cells } from '../../support/cells-command.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/patience.yaml', import.meta.url));
const limits = { timeout: 600_000 };
const limitRoot = await findLimitRoot(await findGroupRoot());

describe.concurrent('a cell whose agent says nothing for long', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts, env: { CELLS_SILENCE_LIMIT: '15s' } })));
  afterAll(async () => {
    await nothingLeft(fleet);
    await fleet[Symbol.asyncDispose]();
  });

  test('waits as long as the provider says, and shows that it does', limits, async () => {
    const cell = await fleet.start('rate-limited-for-long');
    const told = async () => (await stateOf(fleet, cell)).doing ?? '';
    await waitUntil(
      async () => /^waiting for provider scripted\/\S+ until \S+Z: it wants to be left alone$/.test(await told()),
      300_000,
    );
    expect(await cell.result()).toMatchObject({ status: 'committed' });
    await expectNoRecovery(fleet, cell);
    expect(places(turnsOf(fleet.model, 'rate-limited-for-long'))).toEqual(['1.1', '1.1', '1.2']);
  });

  test('waits for a model that is slow, within the silence limit', limits, async () => {
    const cell = await fleet.start('slow-model');
    await waitUntil(async () => (await stateOf(fleet, cell)).doing === 'waiting for the model', 300_000);
    expect(await cell.result()).toMatchObject({ status: 'committed' });
    await expectNoRecovery(fleet, cell);
  });

  test('goes on in the same session on another server when it hangs, and is given more time', limits, async () => {
    const cell = await fleet.start('hangs-once');
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0 });
    const { history, attempt } = await stateOf(fleet, cell);
    expect(attempt).toBe(2);
    expect(history.filter(({ reason }) => reason !== undefined)).toEqual([
      { lifecycle: 'error', step: 'execute', at: anyTime, reason: expect.stringMatching(/silent for \d+ s.*bash/) },
      { lifecycle: 'recovering', step: 'execute', at: anyTime, reason: expect.stringContaining('another server') },
      { lifecycle: 'processing', step: 'execute', at: anyTime, reason: expect.stringContaining('1.5 times as long') },
    ]);
    const turns = turnsOf(fleet.model, 'hangs-once');
    expect(places(turns)).toEqual(['1.1', '1.2', '1.3']);
    expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
    expect((await cells(fleet.env, 'show', 'task/hangs-once')).stdout).toMatch(/error\/execute .*silent for/);
  });
});

describe.skipIf(limitRoot.root === null)('a cell that runs out of the memory that its runtime gives it', () => {
  const runtime = 'bubblewrap';
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts, env: { CELLS_RUNTIME: runtime } })));
  afterAll(async () => {
    await nothingLeft(fleet);
    await fleet[Symbol.asyncDispose]();
  });

  test('goes on in the same session with half as much again', limits, async () => {
    const cell = await fleet.start('fills-memory', { resources: { memory: '450m' } });
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0 });
    const { history, attempt } = await stateOf(fleet, cell);
    expect(attempt).toBe(2);
    expect(history.flatMap(({ reason }) => reason ?? [])).toEqual([
      'the server of the cell ran out of memory',
      expect.stringContaining('another server'),
      'the cell may use 1.5 times its memory limit',
    ]);
    expect(new Set(turnsOf(fleet.model, 'fills-memory').map(({ session }) => session)).size).toBe(1);
  });

  test('runs its tests with half as much again after they ran out of it', limits, async () => {
    // More than the server has, so that the kernel takes it and not the server.
    const testCommand = 'head -c 500000000 /dev/zero | tail -c 500000000 > /dev/null';
    const cell = await fleet.start('repair', { agentId: 'tests', testCommand, resources: { memory: '700m' } });
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0, tests: { rounds: 2 } });
    const { history, attempt } = await stateOf(fleet, cell);
    expect(attempt).toBe(1);
    expect(history.flatMap(({ step, reason }) => (reason === undefined ? [] : [[step, reason]]))).toEqual([
      ['repair', expect.stringMatching(/^the server is replaced .* may use 1.5 times its memory limit$/)],
      ['repair', 'the tests ran out of memory'],
    ]);
  });

  test('is lost when that is not enough either', limits, async () => {
    const cell = await fleet.start('fills-memory', { agentId: 'insatiable', resources: { memory: '330m' } });
    await expect(cell.result()).rejects.toMatchObject({
      type: 'CellLost',
      message: 'the server of the cell ran out of memory',
      report: { respawns: 0 },
    });
  });
});

describe('a run of the tests that reaches its timeout', () => {
  test('is followed by one that may take half as long again', limits, async () => {
    await using fleet = await startFleet({ scripts });
    // The second run takes longer than the request allows, and less than it is given.
    const testCommand = 'if [ -e "$HOME/was-here" ]; then sleep 12; else touch "$HOME/was-here"; sleep 500; fi';
    const cell = await fleet.start('repair', { testCommand, testTimeout: '10s' });
    expect(await cell.result()).toMatchObject({ status: 'committed', tests: { outcome: 'passed', rounds: 2 } });
    const { history } = await stateOf(fleet, cell);
    expect(history.flatMap(({ step, reason }) => (reason === undefined ? [] : [[step, reason]]))).toEqual([
      ['repair', 'the tests reached their timeout'],
      ['test', 'a run of the tests may now take 15 seconds'],
    ]);
    await nothingLeft(fleet);
  });
});

const anyTime: unknown = expect.any(Number);

const stateOf = (fleet: Fleet, { workflowId }: CellHandle) => cellState(fleet.client, workflowId);

async function expectNoRecovery(fleet: Fleet, cell: CellHandle): Promise<void> {
  const { history, attempt } = await stateOf(fleet, cell);
  expect(attempt).toBe(1);
  expect(history.map(({ lifecycle }) => lifecycle)).not.toContain('error');
}
