import { describe, expect, test } from 'vitest';
import type { CellHandle } from '../../../src/client.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { serverIn } from '../../support/host-state.ts';
import { nothingLeft } from '../../support/endings.ts';
import { startOwnTemporal, startWire } from '../../support/own-temporal.ts';
import { isRunning } from '../../support/processes.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('cells at work', { timeout: 600_000 }, () => {
  test('go on while Temporal is down, and report once when it is back on its database', async () => {
    await using temporal = await startOwnTemporal();
    await using fleet = await startFleet({ scripts: unhurriedScripts, temporalAddress: temporal.address });
    const cells = [await start(fleet, 'by-one'), await start(fleet, 'by-another')];
    const leases = await untilAgentsWait(fleet.stateDirectory, 2);
    const servers = await Promise.all(leases.map(({ cellId }) => serverIn(fleet.stateDirectory, cellId)));
    await temporal.kill();
    for (const { cellId } of leases) await letGoOn(fleet.stateDirectory, cellId);
    await waitUntil(() => finishedTurns(fleet) === 6, 120_000);
    // The steps are over and cannot be reported: nothing is torn down for it.
    expect(await Promise.all(servers.map(isRunning))).toEqual([true, true]);
    await temporal.restart();
    await expectOnce(fleet, cells);
    expect(fleet.worker.log()).not.toContain('releasing what nobody owns');
    await nothingLeft(fleet);
  });

  test('go on while their worker is cut off, for longer than a step may be silent', async () => {
    await using temporal = await startOwnTemporal();
    await using wire = await startWire(temporal.address);
    await using fleet = await startFleet({
      scripts: unhurriedScripts,
      temporalAddress: temporal.address,
      env: { TEMPORAL_ADDRESS: wire.address },
    });
    const cells = [await start(fleet, 'by-one'), await start(fleet, 'by-another')];
    const leases = await untilAgentsWait(fleet.stateDirectory, 2);
    wire.cut();
    try {
      await waitUntil(async () => (await attempts(fleet, cells)).every((attempt) => attempt > 1), 120_000);
      for (const { cellId } of leases) await letGoOn(fleet.stateDirectory, cellId);
      await waitUntil(() => finishedTurns(fleet) === 6, 120_000);
    } finally {
      wire.mend();
    }
    await expectOnce(fleet, cells);
    await nothingLeft(fleet);
  });
});

const start = (fleet: Fleet, script: string): Promise<CellHandle> =>
  fleet.start(script, { env: { CELL_NAME: script }, testCommand: 'cat shared.txt' });

const finishedTurns = ({ model }: Fleet): number =>
  turnsOf(model).filter(({ outcome }) => outcome === 'finished').length;

/** The number of the try that each cell's step is at, as Temporal has it. */
async function attempts({ client }: Fleet, cells: readonly CellHandle[]): Promise<number[]> {
  const all = await Promise.all(cells.map(({ workflowId }) => client.workflow.getHandle(workflowId).describe()));
  return all.flatMap(({ raw }) => (raw.pendingActivities ?? []).map(({ attempt }) => attempt ?? 0));
}

/** Each cell is the one that it was, and each turn of its session reached the model once. */
async function expectOnce(fleet: Fleet, cells: readonly CellHandle[]): Promise<void> {
  for (const cell of cells) {
    const { status, respawns, agentId } = await cell.result();
    expect({ status, respawns }).toEqual({ status: 'committed', respawns: 0 });
    expect(places(turnsOf(fleet.model, agentId))).toEqual(['1.1', '1.2', '1.3']);
  }
}
