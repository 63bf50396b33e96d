import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { serverPlace } from '../../../src/cell/server-place.ts';
import { listWarm } from '../../../src/cell/warm-record.ts';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import type { GatewayState } from '../../../src/gateway/model-gateway.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { supervisedGateway } from '../../../src/supervisor/supervised-gateway.ts';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { realKey } from '../../support/gateway.ts';
import { processesMarked } from '../../support/processes.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { waitUntil } from '../../support/wait-until.ts';

const limits = { timeout: 300_000 };
const silenceLimit = 30_000;

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet({
    env: {
      CELLS_RUNTIME: 'process',
      CELLS_WARM: '1',
      CELLS_SILENCE_LIMIT: `${silenceLimit / 1000}s`,
      SCRIPTED_API_KEY: realKey,
    },
  });
}, 300_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** Of its own environment a cell has its own server, and does not adopt the one that waits. */
const requestsOf = { cold: { env: { GREETING: 'hello' } }, warm: {} };

describe.each(['cold', 'warm'] as const)('a cell behind the gateway, from a %s start', (start) => {
  test('does its work, and its tokens are those that the provider counted', limits, async () => {
    const before = await spawned(start);
    const cell = await begin('edit-file', start);
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', tokens: { input: 1400, output: 100, cacheRead: 1200 } });
    expect(result.tokens.total).toBe(counted('edit-file'));
    expect(result.cost).toBeCloseTo((1400 + 100 * 4 + 1200 * 0.1) * 1e-6, 9);
    expect(await spawned(start)).toBe(before + 1);
  });

  test('has neither the address of its provider nor a key, and its door closes with it', limits, async () => {
    const before = await spawned(start);
    const cell = await begin('endless', start, { tokenBudget: 500_000 });
    await waitUntil(() => counted('endless') > 0, 120_000);
    expect(await spawned(start)).toBe(before + 1);
    const { cellId } = (await cellState(fleet.client, cell.workflowId)).cell;
    if (cellId === null) throw new Error('a cell at work has an id');
    const { mark, home, config: configFile } = await serverPlace(fleet.stateDirectory, cellId);
    const { directory, artifacts, worktree } = cellPaths(fleet.stateDirectory, cellId);
    const provider = new URL(fleet.model.url).host;
    const config = await readFile(configFile, 'utf8');
    expect(config).toContain('"baseURL":"http://127.0.0.1:');
    expect(config).not.toContain('"apiKey":"scripted"');
    const environments = await environmentsOf(mark);
    expect(environments.some((text) => text.includes(configFile))).toBe(true);
    for (const secret of [realKey, provider]) {
      expect(environments.filter((text) => text.includes(secret))).toEqual([]);
      expect(await filesWith(secret, [directory, dirname(home), artifacts, worktree])).toEqual([]);
    }
    const { accounts } = await gatewayState();
    expect(accounts).toMatchObject([{ cellId, budget: { total: 500_000 } }]);
    await fleet.client.workflow.getHandle(cell.workflowId).signal('abort', { reason: 'seen enough' });
    expect(await cell.result()).toMatchObject({ status: 'reverted' });
    expect((await gatewayState()).accounts).toEqual([]);
  });

  test('gets another server and goes on through the gateway when its own dies', limits, async () => {
    const cell = await begin('endless', start, { tokenBudget: 500_000 });
    await waitUntil(() => counted('endless') > 0, 120_000);
    const { cellId } = (await cellState(fleet.client, cell.workflowId)).cell;
    const { mark } = await serverPlace(fleet.stateDirectory, cellId ?? '');
    for (const { pid } of await processesMarked(cellMarker, mark)) process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await cellState(fleet.client, cell.workflowId)).attempt === 2, 120_000);
    fleet.model.clearLedger();
    await waitUntil(() => counted('endless') > 0, 120_000);
    await fleet.client.workflow.getHandle(cell.workflowId).signal('abort', { reason: 'seen enough' });
    expect(await cell.result()).toMatchObject({ status: 'reverted', respawns: 0 });
  });
});

describe('a cell behind the gateway', () => {
  test('is stopped within one request of its budget, and told why', limits, async () => {
    const cell = await begin('endless', 'cold', { tokenBudget: 20_000 });
    await expect(cell.result()).rejects.toMatchObject({
      type: 'TokenBudgetExceeded',
      message: expect.stringContaining('has no room for another request'),
    });
    const total = (await cellState(fleet.client, cell.workflowId)).tokens.total;
    expect(total).toBe(counted('endless'));
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThan(20_000 + 1_050);
  });

  test('goes on with more tokens, and is stopped where they end', limits, async () => {
    const cell = await begin('endless', 'cold', { tokenBudget: 20_000 });
    await waitUntil(() => counted('endless') > 0, 120_000);
    const handle = fleet.client.workflow.getHandle(cell.workflowId);
    expect(await handle.executeUpdate('extend', { args: [{ tokens: 20_000 }] })).toMatchObject({ tokenBudget: 40_000 });
    await expect(cell.result()).rejects.toMatchObject({
      type: 'TokenBudgetExceeded',
      message: expect.stringContaining('its budget is 40000, which has no room for another request'),
    });
    expect(counted('endless')).toBeGreaterThan(20_000);
    expect(counted('endless')).toBeLessThan(40_000 + 1_050);
  });

  test(
    'says what it waits for while its provider wants to be left alone, and does not count as hung',
    limits,
    async () => {
      const cell = await begin('rate-limited-long', 'cold');
      const forProvider = /^waiting for provider scripted\/default until \S+Z: it wants to be left alone$/;
      const state = () => cellState(fleet.client, cell.workflowId);
      await waitUntil(async () => forProvider.test((await state()).doing ?? ''), 120_000);
      await waitUntil(async () => forProvider.test((await state()).waitingFor ?? ''), 120_000);
      const [account] = (await gatewayState()).accounts;
      expect(account?.waiting?.until).toBeGreaterThan(Date.now());
      const samples = await scrape(fleet.metricsUrl);
      expect(valueOf(samples, metrics.gatewayCooldown.name, { model: 'scripted/default' })).toBeGreaterThan(0);
      // Of the silence that the provider asked for nobody is to blame: the breaker of providers has nothing to do.
      expect(valueOf(samples, metrics.promptsHeld.name, { model: 'scripted/default' })).toBe(0);
      expect(await cell.result()).toMatchObject({ status: 'committed', respawns: 0 });
      expect(await state()).toMatchObject({ attempt: 1, waitingFor: null });
    },
  );

  test('hears its model to the end while the worker is killed, and is asked for nothing twice', limits, async () => {
    const cell = await begin('speaks-slowly', 'cold');
    const [answer] = await waitUntilSome(() => fleet.model.ledger().filter(({ outcome }) => outcome === 'under-way'));
    expect(answer).toMatchObject({ script: 'speaks-slowly', try: 1 });
    await fleet.worker.end('SIGKILL');
    expect(fleet.model.ledger().at(-1)).toMatchObject({ outcome: 'under-way' });
    await waitUntil(() => fleet.model.ledger().every(({ outcome }) => outcome === 'finished'), 120_000);
    await fleet.startWorker();
    expect(await cell.result()).toMatchObject({ status: 'unchanged', tokens: { total: 1100 }, respawns: 0 });
    expect(fleet.model.ledger()).toHaveLength(1);
  });

  test('is refused before it is made when its model cannot be reached', limits, async () => {
    const cell = await fleet.start('edit-file', { agentId: 'elsewhere', model: 'nobody/one' });
    await expect(cell.result()).rejects.toMatchObject({
      type: 'InvalidCellRequest',
      message: expect.stringContaining('the address of the provider nobody is not known'),
    });
  });

  test('is counted in the metrics of the host by model', limits, async () => {
    const cell = await begin('edit-file', 'cold');
    await cell.result();
    const samples = await scrape(fleet.metricsUrl);
    const of = (name: string, labels: Record<string, string> = {}) =>
      valueOf(samples, name, { host: fleet.hostId, model: 'scripted/default', ...labels });
    const [figures] = (await gatewayState()).models;
    expect(of(metrics.gatewayRequests.name, { outcome: 'answered' })).toBe(figures?.requests.answered);
    expect(figures?.requests.answered).toBeGreaterThan(0);
    expect(of(metrics.gatewayTokens.name, { kind: 'input' })).toBe(figures?.tokens.input);
    expect(of(metrics.gatewayCost.name)).toBeCloseTo(figures?.cost ?? 0, 9);
    expect(of(metrics.gatewayCooldowns.name)).toBe(figures?.cooldowns);
    expect(of(`${metrics.gatewayFirstToken.name}_count`)).toBe(figures?.firstToken.count);
  });
});

/** Starts a cell of this kind once a server waits for it, and forgets what the model was asked before. */
async function begin(script: string, start: 'cold' | 'warm', request: object = {}): Promise<CellHandle> {
  if (start === 'warm') await waitUntil(isWarm, 180_000);
  fleet.model.clearLedger();
  return await fleet.start(script, { agentId: `${script}-${start}-${(cells += 1)}`, ...requestsOf[start], ...request });
}
let cells = 0;

async function isWarm(): Promise<boolean> {
  const { records } = await listWarm(fleet.stateDirectory);
  return records.some(({ record }) => record !== null && record.ready !== null);
}

async function spawned(start: 'cold' | 'warm'): Promise<number> {
  return valueOf(await scrape(fleet.metricsUrl), metrics.spawned.name, { start }) ?? 0;
}

async function waitUntilSome<Entry>(look: () => Entry[]): Promise<Entry[]> {
  await waitUntil(() => look().length > 0, 120_000);
  return look();
}

/** What the model says that the cells were told, tokens of all kinds. */
const counted = (script: string): number =>
  fleet.model
    .ledger()
    .filter((entry) => entry.script === script)
    .reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);

async function gatewayState(): Promise<GatewayState> {
  await using supervisor = await connectSupervisor(fleet.stateDirectory);
  return await supervisedGateway(supervisor).state();
}

async function environmentsOf(mark: string): Promise<string[]> {
  const processes = await processesMarked(cellMarker, mark);
  return await Promise.all(processes.map(({ pid }) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')));
}

/** The files below some directories in which a text stands. */
async function filesWith(text: string, directories: string[]): Promise<string[]> {
  return await new Promise((resolve, reject) => {
    execFile('grep', ['-rlaFs', '-e', text, ...directories], (error, found) => {
      // Without any it ends with 1, and with 2 where a file went away meanwhile.
      if (error && typeof error.code !== 'number') reject(error);
      else resolve(found.split('\n').filter((line) => line !== ''));
    });
  });
}
