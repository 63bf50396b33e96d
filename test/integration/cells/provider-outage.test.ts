import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { letGoOn, untilAgentsWait } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/outage.yaml', import.meta.url));
const failing = ['fails-for-one', 'fails-for-another'] as const;
const patience = 300_000;

test(
  'while a provider fails one cell asks it, the prompts of the others wait, and then all go on',
  { timeout: 900_000 },
  async () => {
    await using fleet = await startFleet({ scripts, env: { CELLS_SILENCE_LIMIT: '2m' } });
    const started = await Promise.all(failing.map((script) => fleet.start(script)));
    const waitsForTest = 'touch "$HOME/waits"; while [ ! -e "$HOME/go" ]; do sleep 0.2; done; grep -q right answer.txt';
    const third = await fleet.start('is-kept-waiting', { testCommand: waitsForTest });
    await untilAgentsWait(fleet.stateDirectory, 3);

    const cellIds = await Promise.all(started.map(async (cell) => (await stateOf(fleet, cell)).cell.cellId ?? ''));
    await Promise.all(cellIds.map((cellId) => letGoOn(fleet.stateDirectory, cellId)));
    await waitUntil(async () => (await outagesOf(fleet)).length > 0, patience);
    expect(await outagesOf(fleet)).toMatchObject([{ model: 'scripted/default' }]);
    await letGoOn(fleet.stateDirectory, (await stateOf(fleet, third)).cell.cellId ?? '');

    // By the heartbeat at once, and by the workflow when the wait lasts.
    const forProvider = /^waiting for provider scripted\/default until \S+Z: .*overloaded/;
    await waitUntil(async () => forProvider.test((await stateOf(fleet, third)).doing ?? ''), patience);
    await waitUntil(async () => forProvider.test((await stateOf(fleet, third)).waitingFor ?? ''), patience);
    const held = valueOf(await scrape(fleet.metricsUrl), 'cells_prompts_held', { model: 'scripted/default' });

    const results = await Promise.all([...started, third].map((cell) => cell.result()));
    expect(results.map(({ status, respawns }) => ({ status, respawns }))).toEqual(
      results.map(() => ({ status: 'committed', respawns: 0 })),
    );
    expect([1, 2]).toContain(held);

    // Each step was answered once, in one session, and the one that asked for all did most of the asking.
    for (const script of failing) {
      const turns = turnsOf(fleet.model, script);
      expect(places(turns.filter(({ outcome }) => outcome === 'finished'))).toEqual(['1.1', '1.2', '1.3']);
      expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
    }
    expect(places(turnsOf(fleet.model, 'is-kept-waiting'))).toEqual(['1.1', '1.2', '2.1', '2.2']);
    for (const cell of [...started, third]) {
      const { attempt, waitingFor } = await stateOf(fleet, cell);
      expect({ attempt, waitingFor }).toEqual({ attempt: 1, waitingFor: null });
    }
    expect(await outagesOf(fleet)).toEqual([]);
    await nothingLeft(fleet);
  },
);

const stateOf = (fleet: Fleet, { workflowId }: CellHandle) => cellState(fleet.client, workflowId);

async function outagesOf({ metricsUrl }: Fleet): Promise<unknown[]> {
  const answer = await fetch(new URL('/healthz', metricsUrl));
  return ((await answer.json()) as { outages: unknown[] }).outages; // as the worker makes it
}
