import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { IsolationName } from '../../../src/domain/request.ts';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { type Failure, failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { runtimeSettings } from '../../support/test-runtime.ts';
import { turnsOf } from '../../support/turns.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/budget.yaml', import.meta.url));

/** What each call of the model costs in these scripts, and what a cell may spend. */
const call = 2_100;
const tokenBudget = 10_000;
const patience = 2_700_000;

/** How many cells at once, in each runtime. Fifty take a quarter of an hour of two processors each: `AGENT_CELLS_FLEET=50` is for that. */
const wanted = process.env['AGENT_CELLS_FLEET'];
const fleets: readonly [IsolationName, number][] = [
  ['process', Number(wanted ?? 8)],
  ['bubblewrap', Number(wanted ?? 4)],
  ['docker', Number(wanted ?? 4)],
];

describe.each(fleets)('of %s cells, %i agents without an end', (runtime, size) => {
  test(
    'are each stopped within one request of the budget, and the count is that of the provider to the token',
    { timeout: patience },
    async () => {
      await using stack = new AsyncDisposableStack();
      const settings = await runtimeSettings(runtime, stack);
      await using fleet = await startFleet({
        scripts,
        env: { ...settings, CELLS_CAPACITY: String(size), CELLS_SILENCE_LIMIT: '30m' },
      });
      const names = Array.from({ length: size }, (_, index) => `agent-${String(index).padStart(2, '0')}`);
      const started = await Promise.all(names.map((name, index) => startSpender(fleet, name, index)));
      const endings = Promise.all(started.map((cell) => failureOf(fleet.client, cell)));
      // All are somewhere in their lives: some at their first answer, some at their last, some not yet spawned.
      await waitUntil(() => finished(fleet).length >= size, patience);
      await fleet.worker.end('SIGKILL');
      await fleet.startWorker();
      const failures = await endings;

      for (const [index, failure] of failures.entries()) {
        expect(failure.type, failure.message).toBe('TokenBudgetExceeded');
        const { total } = failure.report.tokens;
        expect([names[index], total]).toEqual([names[index], countedFor(fleet, names[index] ?? '')]);
        expect(Math.abs(total - tokenBudget)).toBeLessThanOrEqual(call);
        expect(await keptIn(fleet, failure)).toBe('half');
      }
      const all = failures.reduce((sum, { report }) => sum + report.tokens.total, 0);
      expect(all).toBe(finished(fleet).reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0));
      const samples = await scrape(fleet.metricsUrl);
      const kinds = ['input', 'output', 'reasoning', 'cacheRead', 'cacheWrite'];
      expect(kinds.reduce((sum, kind) => sum + (valueOf(samples, metrics.gatewayTokens.name, { kind }) ?? 0), 0)).toBe(
        all,
      );
      expect(valueOf(samples, metrics.gatewayEstimated.name)).toBe(0);
      expect(valueOf(samples, metrics.gatewayCooldowns.name)).toBeGreaterThan(0);
      expect(valueOf(samples, metrics.gatewayRequests.name, { outcome: 'error' })).toBeGreaterThan(0);
      await nothingLeft(fleet);
    },
  );
});

/** Its name is in its prompt, by which the provider's ledger tells it from the others. */
function startSpender(fleet: Fleet, name: string, index: number) {
  const script = index % 4 === 3 ? 'spends-through-an-outage' : 'spends';
  return fleet.start(script, { agentId: name, prompt: `[script: ${script}] ${name}`, tokenBudget, timeout: '2h' });
}

const finished = ({ model }: Fleet) => turnsOf(model).filter(({ outcome }) => outcome === 'finished');

/** What the provider told the cell of this name, over all its requests. */
function countedFor({ model }: Fleet, name: string): number {
  const sessions = new Set(model.ledger().flatMap((entry) => (entry.prompt?.includes(name) ? [entry.session] : [])));
  const own = model.ledger().filter(({ session }) => sessions.has(session));
  return own.reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);
}

async function keptIn({ repository }: Fleet, { report }: Failure): Promise<string> {
  return await repository.git('show', `${report.revertedRef ?? 'nothing was kept'}:answer.txt`);
}
