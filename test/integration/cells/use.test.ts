import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellSecret } from '../../../src/cell/secret.ts';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { readAudit } from '../../../src/journal/audit.ts';
import { readSamples } from '../../../src/journal/samples.ts';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { startCells } from '../../support/cells-command.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { waitUntil } from '../../support/wait-until.ts';

const limits = { timeout: 180_000 };
const limit = 100 * 1024 ** 2;

let fleet: Fleet;
let cell: CellHandle;
let cellId: string;
beforeAll(async () => {
  fleet = await startFleet({ env: { CELLS_RUNTIME: 'process', CELLS_SERVER_MEMORY: '100m' } });
  cell = await fleet.start('endless', { tokenBudget: 5_000_000 });
  await waitUntil(() => fleet.model.ledger().length > 0, 120_000);
  cellId = (await cellState(fleet.client, cell.workflowId)).cell.cellId ?? '';
}, 300_000);
afterAll(() => fleet?.[Symbol.asyncDispose]());

const cells = (...words: string[]) => startCells(fleet.env, words);

describe('what a cell uses', () => {
  test('is kept as samples by its worker, and shown by cells history', limits, async () => {
    await waitUntil(async () => (await readSamples(fleet.stateDirectory, 0)).length > 1, 60_000);
    const samples = await readSamples(fleet.stateDirectory, 0);
    expect(samples[0]).toMatchObject({ cellId, workflowId: cell.workflowId, runtime: 'process', memoryLimit: limit });
    // The first ones may be of a server that boots.
    expect(samples.every(({ memory, processes }) => memory > 0 && processes > 0)).toBe(true);
    expect(samples.at(-1)?.memory).toBeGreaterThan(50 * 1024 ** 2);
    expect(samples.some(({ cpuPercent }) => (cpuPercent ?? 0) > 0)).toBe(true);
    const [summary, json, none] = await Promise.all([
      cells('history'),
      cells('history', '--cell', 'task/endless', '--json'),
      cells('history', '--cell', 'task/nobody'),
    ]);
    expect(summary.stdout).toMatch(new RegExp(`^task/endless +${cellId} +process .* 100 MiB `, 'm'));
    expect(JSON.parse(json.stdout.split('\n')[0] ?? '')).toEqual(samples[0]);
    expect(none.stderr).toContain('no samples within 1h');
  });

  test(
    'raises an alert in the state, the log, the audit log and the metrics when it is near its limit',
    limits,
    async () => {
      const alert = /^the cell uses \d+ of 100 MiB of memory$/;
      const state = () => cellState(fleet.client, cell.workflowId);
      await waitUntil(async () => alert.test((await state()).memoryAlert ?? ''), 60_000);
      const shown = await cells('show', 'task/endless');
      expect(shown.stdout).toMatch(/memory +the cell uses \d+ of 100 MiB of memory/);
      expect(await scrape(fleet.metricsUrl).then((samples) => valueOf(samples, metrics.memoryAlerts.name))).toBe(1);
      const alerts = (await readAudit(fleet.stateDirectory, 0)).filter(({ event }) => event === 'alert');
      expect(alerts).toMatchObject([{ what: 'memory', cellId, limit, above: true }]);
      expect(fleet.worker.log()).toContain('of 100 MiB of memory');
    },
  );

  test(
    'is shown by cells stats, and all that is known of it by cells inspect, without its secrets',
    limits,
    async () => {
      const stats = await cells('stats', '--json');
      expect(JSON.parse(stats.stdout)).toMatchObject({
        cell: 'task/endless',
        cellId,
        runtime: 'process',
        state: 'ready',
        memory: expect.any(Number),
        memoryLimit: limit,
        cpuPercent: expect.any(Number),
      });
      const once = await cells('stats', '--once');
      expect(once.stdout).toMatch(new RegExp(`^task/endless +${cellId} +process +ready .* 100 MiB +\\d+ %`, 'm'));

      const inspected = await cells('inspect', 'task/endless', '--json');
      const found = JSON.parse(inspected.stdout) as { processes: { command: string }[] };
      expect(found).toMatchObject({
        cell: 'task/endless',
        lease: { cellId, state: 'ready', runtime: 'process' },
        runtime: { confines: false, cannotEnforce: { network: expect.any(String) } },
        stats: { memoryLimit: limit, enforced: null },
        mounts: null,
      });
      expect(found.processes.some(({ command }) => command.includes('serve --hostname 127.0.0.1'))).toBe(true);
      const password = await cellSecret(fleet.stateDirectory, cellId);
      const text = await cells('inspect', cellId);
      expect(text.stdout).toContain(`cellId: ${cellId}`);
      for (const { stdout } of [inspected, text]) expect(stdout).not.toContain(password);

      const unknown = await cells('inspect', 'task/nobody');
      expect(unknown.stderr).toContain('no cell task/nobody lives on this host');
      expect(unknown.stderr).toContain('there are task/endless');
      expect(unknown.exitCode).toBe(2);
    },
  );
});
