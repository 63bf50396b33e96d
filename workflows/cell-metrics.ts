import { metricMeter } from '@temporalio/workflow';
import { metrics } from '../src/telemetry/metrics.ts';
import type { CellMetrics, CellReport, TokenUsage } from '../src/domain/outcome.ts';
import type { Ending, Lost } from './ending.ts';

const histograms = [
  ['spawnMs', metrics.spawnDuration],
  ['executionMs', metrics.executionDuration],
  ['testMs', metrics.testDuration],
  ['teardownMs', metrics.teardownDuration],
  ['totalMs', metrics.totalDuration],
] as const satisfies [keyof CellMetrics, unknown][];

const kinds = ['input', 'output', 'reasoning', 'cacheRead', 'cacheWrite'] as const satisfies (keyof TokenUsage)[];

/** Counts a cell that ended. The SDK keeps a replay from counting it again. */
export function recordMetrics(ending: Ending, report: CellReport, model: string): void {
  const status = statusOf(ending);
  const labels = { runtime: report.runtime ?? 'none', status };
  for (const [part, { name, unit, description }] of histograms) {
    metricMeter.createHistogram(name, 'float', unit, description).record(report.metrics[part] / 1000, labels);
  }
  if (ending.kind === 'failure') count(metrics.failed, 1, { type: ending.type });
  else count(metrics.completed, 1, { status });
  for (const kind of kinds) {
    if (report.tokens[kind] > 0) count(metrics.tokens, report.tokens[kind], { kind, model });
  }
}

/** Counts a cell that was spawned. */
export function countSpawn(start: 'warm' | 'cold' = 'cold'): void {
  count(metrics.spawned, 1, { start });
}

/** Counts a cell that is made anew. */
export function countRespawn(lost: Lost): void {
  count(metrics.respawned, 1, { reason: lost === 'closed' ? 'host-closed' : `${lost}-lost` });
}

function statusOf(ending: Ending): string {
  switch (ending.kind) {
    case 'verdict':
      return ending.status;
    case 'failure':
      return ending.type;
    case 'cancelled':
      return 'cancelled';
  }
}

function count(
  { name, unit, description }: { name: string; unit: string; description: string },
  value: number,
  labels: Record<string, string>,
): void {
  metricMeter.createCounter(name, unit, description).add(value, labels);
}
