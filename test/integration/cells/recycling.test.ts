import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { cellState } from '../../../src/client.ts';
import { nothingLeft } from '../../support/endings.ts';
import { startFleet } from '../../support/fleet.ts';
import { runtimeSettings } from '../../support/test-runtime.ts';
import { places, turnsOf } from '../../support/turns.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/patience.yaml', import.meta.url));

test(
  'a server that has outgrown its memory is replaced between two steps, at most once in a round',
  { timeout: 600_000 },
  async () => {
    // No server is so small: it would be replaced for ever, and where the limit is enforced none would come up.
    const env = { CELLS_SERVER_MEMORY: '64m', CELLS_RUNTIME: 'process' };
    await using fleet = await startFleet({ scripts, env });
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

test.for(['process', 'bubblewrap', 'docker'] as const)(
  'what an agent leaves running counts, and goes before the tests, in %s',
  { timeout: 600_000 },
  async (runtime) => {
    await using stack = new AsyncDisposableStack();
    const env = { CELLS_SERVER_MEMORY: '2g', ...(await runtimeSettings(runtime, stack)) };
    const fleet = stack.use(await startFleet({ scripts, env }));
    const cell = await fleet.start('leaves-something-large', { testCommand: 'grep -q right answer.txt' });
    expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0, tests: { outcome: 'passed' } });
    const { history } = await cellState(fleet.client, cell.workflowId);
    const replaced = history.filter(({ reason }) => reason?.includes('the server is replaced'));
    expect(replaced).toMatchObject([
      {
        lifecycle: 'ready',
        step: 'test',
        reason: expect.stringMatching(/uses \d+ MiB of memory, and its limit is 2048 MiB/),
      },
    ]);
    await nothingLeft(fleet);
  },
);
