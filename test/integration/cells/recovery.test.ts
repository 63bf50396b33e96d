import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { serverIn } from '../../support/host-state.ts';
import { places, turnsOf, waitingFor } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/losses.yaml', import.meta.url));
const limits = { timeout: 300_000 };

describe('a cell that loses', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts })));
  afterAll(() => fleet[Symbol.asyncDispose]());

  test(
    'its server gets a new one on the same worktree, and its agent goes on in the same session',
    limits,
    async () => {
      const cell = await atWork(fleet, 'loses-server');
      const cellId = await cellIdOf(fleet, cell);
      process.kill(await serverIn(fleet.stateDirectory, cellId), 'SIGKILL');
      const result = await cell.result();
      expect(result).toMatchObject({ status: 'committed', cellId, respawns: 0 });
      expect(await lifecyclesOf(fleet, cell)).toEqual(expect.arrayContaining(['error', 'recovering', 'ready']));
      const turns = turnsOf(fleet.model, 'loses-server');
      expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
      // Only the step that the server died in is asked for again.
      expect(new Set(places(turns))).toEqual(new Set(['1.1', '1.2', '1.3']));
      expect(places(turns).filter((place) => place === '1.1')).toHaveLength(1);
      await nothingLeft(fleet);
    },
  );

  test('its supervisor, and with it every process, recovers in the same way', limits, async () => {
    const cell = await atWork(fleet, 'loses-supervisor');
    const cellId = await cellIdOf(fleet, cell);
    process.kill(await supervisorOf(fleet), 'SIGKILL');
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId, respawns: 0 });
    await nothingLeft(fleet);
  });

  test('its worktree is made anew from its base, and what was used goes on counting', limits, async () => {
    const cell = await atWork(fleet, 'loses-worktree');
    const cellId = await cellIdOf(fleet, cell);
    await rm(join(fleet.stateDirectory, 'worktrees', cellId), { recursive: true, force: true, maxRetries: 5 });
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', respawns: 1 });
    expect(result.cellId).not.toBe(cellId);
    const once = fleet.model.ledger().filter(({ script, turn }) => script === 'loses-worktree' && turn === 1);
    expect(once).toHaveLength(2);
    const used = fleet.model.ledger().filter(({ script }) => script === 'loses-worktree');
    const told = used.reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);
    // The answer that was cut off with the first server is estimated, since the provider told nothing of it.
    expect(result.tokens.total).toBeGreaterThan(told);
    expect(result.tokens.total).toBeLessThan(told + 10_000);
    await nothingLeft(fleet);
  });
});

/** Starts a cell and waits until its agent waits for the second answer of its model. */
async function atWork(fleet: Fleet, script: string): Promise<CellHandle> {
  const cell = await fleet.start(script, { env: { CELL_NAME: script }, testCommand: 'cat shared.txt' });
  await waitUntil(() => waitingFor(fleet.model, script, 2) === 1, 120_000);
  return cell;
}

async function cellIdOf(fleet: Fleet, { workflowId }: CellHandle): Promise<string> {
  return (await cellState(fleet.client, workflowId)).cell.cellId ?? '';
}

async function lifecyclesOf(fleet: Fleet, { workflowId }: CellHandle): Promise<string[]> {
  return (await cellState(fleet.client, workflowId)).history.map(({ lifecycle }) => lifecycle);
}

async function supervisorOf(fleet: Fleet): Promise<number> {
  await using supervisor = await connectSupervisor(fleet.stateDirectory);
  return (await supervisor.info()).pid;
}
