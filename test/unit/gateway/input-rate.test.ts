import { expect, test } from 'vitest';
import { noTokens } from '../../../src/domain/outcome.ts';
import { createInputRates } from '../../../src/gateway/input-rate.ts';

const guess = { input: 1000, most: 9000 };
const reported = { ...noTokens, input: 100, cacheRead: 200, output: 50, total: 350 };

test('an estimate is corrected by what the provider reported of the request before, for that model', () => {
  const rates = createInputRates();
  const first = rates.correct('one', guess);
  expect(first.estimate).toEqual(guess);
  first.learn(reported);
  expect(rates.correct('one', { input: 2000, most: 9000 }).estimate).toEqual({ input: 600, most: 9000 });
  expect(rates.correct('another', guess).estimate).toEqual(guess);
});

test('a request that cost nothing corrects nothing, and an odd report not without end', () => {
  const rates = createInputRates();
  rates.correct('one', guess).learn(noTokens);
  expect(rates.correct('one', guess).estimate.input).toBe(1000);
  rates.correct('one', guess).learn({ ...noTokens, input: 1, total: 1 });
  expect(rates.correct('one', guess).estimate.input).toBe(50);
  rates.correct('one', guess).learn({ ...noTokens, input: 1_000_000, total: 1_000_000 });
  expect(rates.correct('one', guess).estimate.input).toBe(4000);
  expect(rates.correct('one', { input: 3000, most: 9000 }).estimate.input).toBe(9000);
});
