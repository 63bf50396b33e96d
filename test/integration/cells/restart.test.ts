import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { execMarker } from '../../../src/domain/names.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning, processesMarked } from '../../support/processes.ts';
import { places, turnsOf, waitingFor } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/unhurried.yaml', import.meta.url));

describe('a worker that ends while an agent is at work', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts })));
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('politely leaves it at work, and the next worker takes it up', { timeout: 240_000 }, async () => {
    const cell = await fleet.start('by-one', { env: { CELL_NAME: 'one' }, testCommand: 'cat shared.txt' });
    await waitUntil(() => waitingFor(fleet.model, 'by-one', 2) === 1, 120_000);
    const [lease] = await leasesIn(fleet.stateDirectory);
    const server = await serverIn(fleet.stateDirectory, lease?.cellId ?? '');
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    expect(await isRunning(server)).toBe(true);
    await fleet.startWorker();
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId: lease?.cellId, respawns: 0 });
    expectAskedOnce(fleet, 'by-one');
  });

  test('by a kill leaves it at work too, and a run of the tests is begun anew', { timeout: 300_000 }, async () => {
    const executing = await fleet.start('by-another', { env: { CELL_NAME: 'x' }, testCommand: 'cat shared.txt' });
    // The first run of these tests never ends, and leaves a file that the second must not take for the agent's work.
    const endless = 'test -e "$HOME/again" && exit 0; touch "$HOME/again" made.txt; sleep 600';
    const testing = await fleet.start('by-a-third', { env: { CELL_NAME: 'y' }, testCommand: endless });
    const inTests = () => processesMarked(execMarker);
    await waitUntil(async () => (await inTests()).some(({ command }) => command === 'sleep 600'), 180_000);
    const before = await inTests();
    const [cell] = await leasesIn(fleet.stateDirectory);
    const server = await serverIn(fleet.stateDirectory, cell?.cellId ?? '');
    expect(await fleet.worker.end('SIGKILL')).toBeNull();
    expect(await isRunning(server)).toBe(true);
    await fleet.startWorker();
    expect(await executing.result()).toMatchObject({ status: 'committed', respawns: 0 });
    const tested = await testing.result();
    expect(tested).toMatchObject({ status: 'committed', respawns: 0, tests: { rounds: 1 } });
    expect(tested.filesModified.map(({ path }) => path)).toEqual(['seen.txt', 'shared.txt']);
    for (const { pid } of before) expect(await isRunning(pid)).toBe(false);
    expectAskedOnce(fleet, 'by-another');
    expectAskedOnce(fleet, 'by-a-third');
  });

  test('leaves no lease behind once its cells have ended', async () => {
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
  });
});

/** Each turn of the one session reached the model once. */
function expectAskedOnce(fleet: Fleet, script: string): void {
  const turns = turnsOf(fleet.model, script);
  expect(places(turns)).toEqual(['1.1', '1.2', '1.3']);
  expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
}
