import type { TokenUsage } from '../domain/outcome.ts';
import type { ModelPrice } from './grant.ts';

/** What tokens cost in US dollars; null where the price is not known. Reasoning costs what output costs. */
export function costOf(tokens: TokenUsage, price: ModelPrice | null): number | null {
  if (price === null) return null;
  const { input, output, reasoning, cacheRead, cacheWrite } = tokens;
  const millions =
    input * price.input +
    (output + reasoning) * price.output +
    cacheRead * price.cacheRead +
    cacheWrite * price.cacheWrite;
  return millions / 1_000_000;
}
