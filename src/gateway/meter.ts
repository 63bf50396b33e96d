import { type TokenUsage, addTokens, noTokens } from '../domain/outcome.ts';

/**
 * How a request to a provider ended: answered in full; answered with an error; not answered, or not to its end; left by its client;
 * refused by the gateway since the budget was spent.
 */
export const exchangeOutcomes = ['answered', 'error', 'broken', 'left', 'refused'] as const;
export type ExchangeOutcome = (typeof exchangeOutcomes)[number];

/** What all cells together asked of one model since the supervisor started. */
export interface ModelFigures {
  /** `provider/model`, as on the wire. */
  model: string;
  requests: Record<ExchangeOutcome, number>;
  tokens: TokenUsage;
  /** Of them in all, how many are estimated. */
  estimatedTokens: number;
  /** US dollars; null while no request had a price. */
  cost: number | null;
  cooldowns: number;
  /** When the cool-down ends that is under way, milliseconds since the epoch; null when there is none. */
  cooldownUntil: number | null;
  /** Time from the sending of a request to the first piece of its answer. */
  firstToken: FirstTokenTimes;
}

/** A histogram: `counts[n]` are those of at most `firstTokenBounds[n]` seconds, the smaller ones included. */
export interface FirstTokenTimes {
  counts: number[];
  count: number;
  /** Seconds. */
  sum: number;
}

/** Seconds. */
export const firstTokenBounds = [0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120];

/** Counts what is asked of each model. */
export interface Meter {
  ended(model: string, outcome: ExchangeOutcome): void;
  used(model: string, tokens: TokenUsage, estimated: boolean, cost: number | null): void;
  cooled(model: string): void;
  firstToken(model: string, seconds: number): void;
  figures(cooldownUntil: (model: string) => number | null): ModelFigures[];
}

export function createMeter(): Meter {
  const models = new Map<string, ModelFigures>();
  const of = (model: string): ModelFigures => {
    const known = models.get(model) ?? {
      model,
      requests: { answered: 0, error: 0, broken: 0, left: 0, refused: 0 },
      tokens: noTokens,
      estimatedTokens: 0,
      cost: null,
      cooldowns: 0,
      cooldownUntil: null,
      firstToken: { counts: firstTokenBounds.map(() => 0), count: 0, sum: 0 },
    };
    models.set(model, known);
    return known;
  };
  return {
    ended: (model, outcome) => void (of(model).requests[outcome] += 1),
    used(model, tokens, estimated, cost) {
      const figures = of(model);
      figures.tokens = addTokens(figures.tokens, tokens);
      if (estimated) figures.estimatedTokens += tokens.total;
      if (cost !== null) figures.cost = (figures.cost ?? 0) + cost;
    },
    cooled: (model) => void (of(model).cooldowns += 1),
    firstToken(model, seconds) {
      const times = of(model).firstToken;
      times.count += 1;
      times.sum += seconds;
      times.counts = times.counts.map((count, index) => count + (seconds <= (firstTokenBounds[index] ?? 0) ? 1 : 0));
    },
    figures: (cooldownUntil) =>
      [...models.values()].map((figures) => ({
        ...structuredClone(figures),
        cooldownUntil: cooldownUntil(figures.model),
      })),
  };
}
