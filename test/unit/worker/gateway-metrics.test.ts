import { describe, expect, test } from 'vitest';
import { noTokens } from '../../../src/domain/outcome.ts';
import { createMeter } from '../../../src/gateway/meter.ts';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { gatewayMetrics, renderFigures } from '../../../src/worker/gateway-metrics.ts';
import { samplesIn, valueOf } from '../../support/prometheus.ts';

const priced = 'scripted/default';
const free = 'ac"me/o\\ne';

function figures() {
  const meter = createMeter();
  meter.ended(priced, 'answered');
  meter.ended(priced, 'answered');
  meter.ended(priced, 'error');
  meter.used(priced, { ...noTokens, input: 1000, output: 50, total: 1050 }, false, 0.0012);
  meter.used(priced, { ...noTokens, cacheRead: 7, total: 7 }, true, 0.0001);
  meter.cooled(priced);
  meter.firstToken(priced, 0.3);
  meter.firstToken(priced, 500);
  meter.ended(free, 'answered');
  meter.used(free, { ...noTokens, input: 1, total: 1 }, false, null);
  return meter.figures((model) => (model === priced ? Date.now() + 60_000 : null));
}

describe('the figures of the gateway', () => {
  const text = renderFigures(figures(), 'here');
  const samples = samplesIn(text);
  const of = (name: string, labels: Record<string, string> = {}) =>
    valueOf(samples, name, { host: 'here', model: priced, ...labels });

  test('say by model how requests ended, what was used, and what it cost where that is known', () => {
    expect(of(metrics.gatewayRequests.name, { outcome: 'answered' })).toBe(2);
    expect(of(metrics.gatewayRequests.name, { outcome: 'error' })).toBe(1);
    expect(of(metrics.gatewayRequests.name, { outcome: 'refused' })).toBe(0);
    expect(of(metrics.gatewayTokens.name, { kind: 'input' })).toBe(1000);
    expect(of(metrics.gatewayTokens.name, { kind: 'cacheRead' })).toBe(7);
    expect(of(metrics.gatewayTokens.name, { kind: 'total' })).toBeUndefined();
    expect(of(metrics.gatewayEstimated.name)).toBe(7);
    expect(of(metrics.gatewayCost.name)).toBeCloseTo(0.0013, 9);
    expect(samples.filter(({ name }) => name === metrics.gatewayCost.name)).toHaveLength(1);
  });

  test('say how often a provider wanted to be left alone, and for how long yet', () => {
    expect(of(metrics.gatewayCooldowns.name)).toBe(1);
    expect(of(metrics.gatewayCooldown.name)).toBeGreaterThan(50);
    expect(valueOf(samples, metrics.gatewayCooldown.name, { model: 'ac\\"me/o\\\\ne' })).toBe(0);
  });

  test('have a histogram of the time to the first piece of an answer', () => {
    const bucket = (le: string) => of(`${metrics.gatewayFirstToken.name}_bucket`, { le });
    expect([bucket('0.25'), bucket('0.5'), bucket('120'), bucket('+Inf')]).toEqual([0, 1, 1, 2]);
    expect(of(`${metrics.gatewayFirstToken.name}_count`)).toBe(2);
    expect(of(`${metrics.gatewayFirstToken.name}_sum`)).toBeCloseTo(500.3, 6);
  });

  test('name each metric with its kind, once', () => {
    const named = Object.values(metrics).filter(({ name }) => name.startsWith('cells_gateway_'));
    expect(text.split('\n').filter((line) => line.startsWith('# TYPE'))).toEqual(
      named.map(({ name, kind }) => `# TYPE ${name} ${kind}`),
    );
  });

  test('are absent while no model was asked for, and while the gateway does not answer', async () => {
    expect(renderFigures([], 'here')).toBe('');
    expect(await gatewayMetrics(null, 'here')).toBe('');
    const silent = () => Promise.reject(new Error('gone'));
    expect(await gatewayMetrics({ state: silent }, 'here')).toBe('');
  });
});
