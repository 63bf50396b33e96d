import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cellState } from '../../../src/client.ts';
import { nothingLeft } from '../../support/endings.ts';
import { startFleet } from '../../support/fleet.ts';
import { places, turnsOf } from '../../support/turns.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/patience.yaml', import.meta.url));

test(
  'a server that has outgrown its memory is replaced between two steps, at most once in a round',
  { timeout: 600_000 },
  async () => {
    // No server is so small: it would be replaced for ever.
    await using fleet = await startFleet({ scripts, env: { CELLS_SERVER_MEMORY: '64m' } });
    const cell = await fleet.start('repair', { testCommand: 'grep -q right answer.txt' });
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0, tests: { rounds: 2 } });

    const { history, attempt } = await cellState(fleet.client, cell.workflowId);
    expect(attempt).toBe(1);
    const replaced = history.filter(({ reason }) => reason?.includes('the server is replaced'));
    expect(replaced.map(({ lifecycle, step }) => [lifecycle, step])).toEqual([
      ['ready', 'test'],
      ['ready', 'repair'],
    ]);
    expect(replaced[0]?.reason).toMatch(/the cell uses \d+ MiB of memory, and its limit is 64 MiB/);

    const turns = turnsOf(fleet.model, 'repair');
    expect(places(turns)).toEqual(['1.1', '1.2', '2.1', '2.2']);
    expect(new Set(turns.map(({ session }) => session)).size).toBe(1);
    await nothingLeft(fleet);
  },
);
