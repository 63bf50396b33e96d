import type { TokenUsage } from '../domain/outcome.ts';
import { type ModelFigures, exchangeOutcomes, firstTokenBounds } from '../gateway/meter.ts';
import type { ModelGateway } from '../gateway/model-gateway.ts';
import { type Metric, metrics } from '../telemetry/metrics.ts';

/**
 * What the gateway has counted, by model, in Prometheus form; nothing while it does not answer. The supervisor counts, and outlives
 * workers: so its figures are passed on as they are, and not counted once more by the SDK.
 */
export async function gatewayMetrics(gateway: Pick<ModelGateway, 'state'> | null, host: string): Promise<string> {
  const state = await gateway?.state().catch(() => null);
  return renderFigures(state?.models ?? [], host);
}

const kinds = ['input', 'output', 'reasoning', 'cacheRead', 'cacheWrite'] as const satisfies (keyof TokenUsage)[];

/** Answers the empty string when no model was asked for. */
export function renderFigures(models: readonly ModelFigures[], host: string): string {
  if (models.length === 0) return '';
  const family = ({ name, kind, description }: Metric, samplesOf: (figures: ModelFigures) => Sample[]) => [
    `# HELP ${name} ${description}`,
    `# TYPE ${name} ${kind}`,
    ...models.flatMap((figures) =>
      samplesOf(figures).map(([suffix, labels, value]) => {
        const text = Object.entries({ host, model: figures.model, ...labels }).map(
          ([key, label]) => `${key}="${escaped(label)}"`,
        );
        return `${name}${suffix}{${text.join(',')}} ${value}`;
      }),
    ),
  ];
  const lines = [
    ...family(metrics.gatewayRequests, ({ requests }) =>
      exchangeOutcomes.map((outcome) => ['', { outcome }, requests[outcome]]),
    ),
    ...family(metrics.gatewayTokens, ({ tokens }) => kinds.map((kind) => ['', { kind }, tokens[kind]])),
    ...family(metrics.gatewayEstimated, ({ estimatedTokens }) => [['', {}, estimatedTokens]]),
    ...family(metrics.gatewayCost, ({ cost }) => (cost === null ? [] : [['', {}, cost]])),
    ...family(metrics.gatewayCooldowns, ({ cooldowns }) => [['', {}, cooldowns]]),
    ...family(metrics.gatewayCooldown, ({ cooldownUntil }) => [
      ['', {}, cooldownUntil === null ? 0 : Math.max(0, cooldownUntil - Date.now()) / 1000],
    ]),
    ...family(metrics.gatewayFirstToken, ({ firstToken: { counts, count, sum } }) => [
      ...firstTokenBounds.map((bound, index): Sample => ['_bucket', { le: String(bound) }, counts[index] ?? 0]),
      ['_bucket', { le: '+Inf' }, count],
      ['_sum', {}, sum],
      ['_count', {}, count],
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** What follows the name of the metric, the labels besides host and model, and the value. */
type Sample = [suffix: string, labels: Record<string, string>, value: number];

const escaped = (label: string): string => label.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
