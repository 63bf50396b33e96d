import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { execMarker, hostTaskQueue } from '../../../src/domain/names.ts';
import { cells } from '../../support/cells-command.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning, processesMarked } from '../../support/processes.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

const limits = { timeout: 600_000 };

describe('a worker that is told to end', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts: unhurriedScripts })), 300_000);
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('refuses plans that exclude each other, and durations that are none', async () => {
    const refused = [
      ['--drain', '--end-cells'],
      ['--drain=soon'],
      ['--end-cells', '--shutdown-timeout', '5'],
      ['--shutdown-timeout', '5s'],
    ];
    for (const flags of refused) expect((await cells(fleet.env, 'worker', ...flags)).exitCode).toBe(2);
  });

  test('with --drain claims no more, and leaves when its cells have ended', limits, async () => {
    await restart(fleet, '--drain=10m');
    const working = await fleet.start('by-one', { env: { CELL_NAME: 'one' }, testCommand: 'cat shared.txt' });
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const { worker } = fleet;
    worker.signal('SIGTERM');
    await waitUntil(() => worker.log().includes('waiting for cells to end'), 60_000);
    const waiting = await fleet.start('by-another', { env: { CELL_NAME: 'x', GO: '1' } });
    await letGoOn(fleet.stateDirectory, lease?.cellId ?? '');
    expect(await worker.end('SIGCONT')).toBe(0);
    expect(await working.result()).toMatchObject({ status: 'committed', respawns: 0 });
    await nothingLeft(fleet);
    await fleet.startWorker();
    expect(await waiting.result()).toMatchObject({ status: 'committed', respawns: 0 });
  });

  test('leaves what it cannot wait for to the next worker, at its limit and at a second signal', limits, async () => {
    await restart(fleet, '--drain=1s');
    const cell = await fleet.start('by-a-third', { env: { CELL_NAME: 'y' } });
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    const server = await serverIn(fleet.stateDirectory, cellId);
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    const worker = await fleet.startWorker('--drain');
    worker.signal('SIGTERM');
    await waitUntil(() => worker.log().includes('waiting for cells to end'), 60_000);
    // One that follows the first at once is taken for the first.
    await waitUntil(async () => {
      worker.signal('SIGTERM');
      return !(await isRunning(worker.pid));
    }, 60_000);
    // No exit code: the signal itself has ended it.
    expect(await worker.end('SIGTERM')).toBeNull();
    expect(await isRunning(server)).toBe(true);
    await fleet.startWorker();
    await letGoOn(fleet.stateDirectory, cellId);
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId, respawns: 0 });
    expect(places(turnsOf(fleet.model, 'by-a-third'))).toEqual(['1.1', '1.2', '1.3']);
  });

  test('with --end-cells keeps the work, leaves nothing, and another host makes the cells anew', limits, async () => {
    await restart(fleet, '--end-cells');
    const earlier = turnsOf(fleet.model).length;
    const executing = await fleet.start('by-one', { agentId: 'executing', env: { CELL_NAME: 'one' } });
    // The other host has the file that ends it at once.
    const testCommand = `test -e '${fleet.stateDirectory}-2' || sleep 600`;
    const testing = await fleet.start('by-another', {
      agentId: 'testing',
      env: { CELL_NAME: 'two', GO: '1' },
      testCommand,
    });
    const leases = await untilAgentsWait(fleet.stateDirectory, 2);
    const inTests = `${await cellIdOf(fleet, testing)}-test-0`;
    await waitUntil(async () => (await processesMarked(execMarker, inTests)).length > 0, 180_000);
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
    await nothingLeft(fleet);
    for (const { cellId } of leases)
      expect(await fleet.repository.git('show', `refs/cells/reverted/${cellId}:shared.txt`)).toMatch(/^(one|two)/);
    const other = await fleet.addHost();
    expect(await testing.result()).toMatchObject({ status: 'committed', host: other.hostId, respawns: 1 });
    const [again] = await untilAgentsWait(other.stateDirectory, 1);
    await letGoOn(other.stateDirectory, again?.cellId ?? '');
    expect(await executing.result()).toMatchObject({ status: 'committed', host: other.hostId, respawns: 1 });
    // Its host had released it: nothing more is asked of that one.
    for (const cell of [executing, testing])
      expect(await stepsAt(fleet, cell)).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/revive|revert|teardown/)]),
      );
    // What was used before goes on counting.
    const asked = turnsOf(fleet.model).slice(earlier);
    const used = async (cell: CellHandle, by: string, turns: string[]) => {
      const ofCell = asked.filter(({ script }) => script === by);
      expect(places(ofCell)).toEqual(turns);
      const total = ofCell.reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);
      expect((await cell.result()).tokens.total).toBe(total);
    };
    await used(testing, 'by-another', ['1.1', '1.2', '1.3', '1.1', '1.2', '1.3']);
    await used(executing, 'by-one', ['1.1', '1.1', '1.2', '1.3']);
    const { cellId } = await executing.result();
    expect(leases.map((lease) => lease.cellId)).not.toContain(cellId);
  });
});

/** Another worker, with other flags. */
async function restart(fleet: Fleet, ...flags: string[]): Promise<void> {
  await fleet.worker.end();
  await fleet.startWorker(...flags);
}

async function cellIdOf(fleet: Fleet, { workflowId }: CellHandle): Promise<string> {
  return (await cellState(fleet.client, workflowId)).cell.cellId ?? '';
}

/** The activities that a cell asked of the first host, by name. */
async function stepsAt({ client, hostId }: Fleet, { workflowId }: CellHandle): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes);
  return scheduled.flatMap((step) =>
    step?.taskQueue?.name === hostTaskQueue(hostId) ? [step.activityType?.name ?? ''] : [],
  );
}
