import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { pendingSteps } from '../../../src/client/pending.ts';
import { execMarker } from '../../../src/domain/names.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { holdSpawns } from '../../support/held-spawns.ts';
import { leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning, processesMarked } from '../../support/processes.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait, untilAgentWaits } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a worker that ends while an agent is at work', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts: unhurriedScripts })));
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('politely leaves it at work, and the next worker takes it up', { timeout: 240_000 }, async () => {
    const cell = await fleet.start('by-one', { env: { CELL_NAME: 'one' }, testCommand: 'cat shared.txt' });
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    const server = await serverIn(fleet.stateDirectory, cellId);
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    expect(await isRunning(server)).toBe(true);
    // It goes on, and comes to its end, while no worker looks.
    await letGoOn(fleet.stateDirectory, cellId);
    await waitUntil(
      () => turnsOf(fleet.model, 'by-one').filter(({ outcome }) => outcome === 'finished').length === 3,
      60_000,
    );
    await fleet.startWorker();
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId, respawns: 0 });
    expectAskedOnce(fleet, 'by-one');
  });

  test('any number of times, leaves it at work all the same', { timeout: 300_000 }, async () => {
    const cell = await fleet.start('often', { env: { CELL_NAME: 'z' } });
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    for (const begun of [1, 2, 3, 4, 5, 6]) {
      await waitUntil(async () => (await begunAttempts(fleet, cell)) === begun, 60_000);
      expect(await fleet.worker.end('SIGTERM'), fleet.worker.log()).toBe(0);
      await fleet.startWorker();
    }
    await letGoOn(fleet.stateDirectory, cellId);
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId, respawns: 0 });
    expectAskedOnce(fleet, 'often');
  });

  test('time and again while the cell is made, does not fail it', { timeout: 300_000 }, async () => {
    await using held = await holdSpawns(fleet.repository.path);
    const cell = await fleet.start('often', { agentId: 'spawned', env: { CELL_NAME: 'z', GO: '1' } });
    // The claim is a step before it, which begins once.
    await waitUntil(async () => (await cellIdOf(fleet, cell)) !== null, 60_000);
    for (const [index, signal] of (['SIGTERM', 'SIGTERM', 'SIGTERM', 'SIGTERM', 'SIGKILL'] as const).entries()) {
      await waitUntil(async () => (await begunAttempts(fleet, cell)) > index, 60_000);
      await fleet.worker.end(signal);
      await fleet.startWorker();
    }
    await held[Symbol.asyncDispose]();
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0 });
  });

  test('by a kill leaves it at work too, and a run of the tests is begun anew', { timeout: 300_000 }, async () => {
    const executing = await fleet.start('by-another', { env: { CELL_NAME: 'x' }, testCommand: 'cat shared.txt' });
    // The first run of these tests never ends, and leaves a file that the second must not take for the agent's work.
    const endless = 'test -e "$HOME/again" && exit 0; touch "$HOME/again" made.txt; sleep 600';
    const testing = await fleet.start('by-a-third', { env: { CELL_NAME: 'y', GO: '1' }, testCommand: endless });
    await waitUntil(async () => (await cellIdOf(fleet, testing)) !== null, 120_000);
    const inTests = `${await cellIdOf(fleet, testing)}-test-0`;
    const commands = async () => (await processesMarked(execMarker, inTests)).map(({ command }) => command);
    await waitUntil(async () => (await commands()).includes('sleep 600'), 180_000);
    const cellId = (await cellIdOf(fleet, executing)) ?? '';
    await untilAgentWaits(fleet.stateDirectory, cellId);
    const server = await serverIn(fleet.stateDirectory, cellId);
    expect(await fleet.worker.end('SIGKILL')).toBeNull();
    expect(await isRunning(server)).toBe(true);
    await fleet.startWorker();
    await letGoOn(fleet.stateDirectory, cellId);
    expect(await executing.result()).toMatchObject({ status: 'committed', respawns: 0 });
    const tested = await testing.result();
    expect(tested).toMatchObject({ status: 'committed', respawns: 0, tests: { rounds: 1 } });
    expect(tested.filesModified.map(({ path }) => path)).toEqual(['seen.txt', 'shared.txt']);
    expect(await commands()).toEqual([]);
    expectAskedOnce(fleet, 'by-another');
    expectAskedOnce(fleet, 'by-a-third');
  });

  test('leaves no lease behind once its cells have ended', async () => {
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
  });
});

const cellIdOf = async (fleet: Fleet, { workflowId }: CellHandle): Promise<string | null> =>
  (await cellState(fleet.client, workflowId)).cell.cellId;

/** How often the step that the cell is at has been begun. */
async function begunAttempts(fleet: Fleet, { workflowId }: CellHandle): Promise<number> {
  const [step] = pendingSteps(await fleet.client.workflow.getHandle(workflowId).describe());
  return step === undefined ? 0 : step.attempt - (step.state === 'running' ? 0 : 1);
}

/** Each turn of the one session reached the model once. */
function expectAskedOnce(fleet: Fleet, script: string): void {
  const turns = turnsOf(fleet.model, script);
  expect(places(turns)).toEqual(['1.1', '1.2', '1.3']);
  expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
}
