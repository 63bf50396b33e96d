import type { TokenUsage } from '../domain/outcome.ts';
import type { Estimate } from './estimate.ts';

/** How far the estimates of a cell's input are off, by model: what a provider reported of one request corrects those that follow. */
export interface InputRates {
  /** Answers a better estimate, and what is to be told of the request when its usage is known. */
  correct(model: string, estimate: Estimate): { estimate: Estimate; learn(reported: TokenUsage): void };
}

/** Farther off than this an estimate cannot be: then it is the report that is odd. */
const bounds = { least: 1 / 20, most: 4 };

export function createInputRates(): InputRates {
  const rates = new Map<string, number>();
  return {
    correct(model, { input, most }) {
      const corrected = Math.min(Math.ceil(input * (rates.get(model) ?? 1)), most);
      return {
        estimate: { input: corrected, most },
        learn({ input: fresh, cacheRead, cacheWrite }) {
          const reported = fresh + cacheRead + cacheWrite;
          // An error costs nothing, and tells nothing.
          if (reported === 0 || input === 0) return;
          rates.set(model, Math.min(Math.max(reported / input, bounds.least), bounds.most));
        },
      };
    },
  };
}
