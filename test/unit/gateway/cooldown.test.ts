import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createCooldowns, retryAfterOf } from '../../../src/gateway/cooldown.ts';

const never = new AbortController().signal;

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

describe('a cool-down', () => {
  test('is of one model, and the longer one stays', () => {
    vi.setSystemTime(1_000_000);
    const cooldowns = createCooldowns();
    cooldowns.begin('a/one', 5_000);
    cooldowns.begin('a/one', 2_000);
    expect([cooldowns.until('a/one'), cooldowns.until('a/two')]).toEqual([1_005_000, null]);
    vi.setSystemTime(1_005_000);
    expect(cooldowns.until('a/one')).toBeNull();
  });

  test('is waited for by all, who come back at different times after it, and are told when', async () => {
    vi.useRealTimers();
    const chances = [0, 0.5, 1];
    const cooldowns = createCooldowns(() => chances.shift() ?? 0);
    cooldowns.begin('a/one', 100);
    const end = cooldowns.until('a/one') ?? 0;
    const told: number[] = [];
    const back = await Promise.all(
      [0, 1, 2].map(async () => {
        await cooldowns.pass('a/one', (until) => told.push(until - end), never);
        return Date.now() - end;
      }),
    );
    expect(told).toEqual([0, 125, 250]);
    expect(back.every((late, index) => late >= (told[index] ?? Number.NaN))).toBe(true);
  });

  test('lets go of who gives up', async () => {
    vi.useRealTimers();
    const cooldowns = createCooldowns();
    cooldowns.begin('a/one', 60_000);
    const leaving = new AbortController();
    const waiting = cooldowns.pass('a/one', () => leaving.abort(new Error('gone')), leaving.signal);
    await expect(waiting).rejects.toThrow();
  });
});

describe('the wish of a provider to be left alone', () => {
  test.for([
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after': '-3' }, 0],
    [{ 'retry-after': '90000' }, 86_400_000],
    [{ 'retry-after': 'Infinity' }, 86_400_000],
    [{ 'retry-after': '9999999999999999' }, 86_400_000],
    [{ 'retry-after-ms': '1e300' }, 86_400_000],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '' }, null],
    [{}, null],
  ] as const)('%j is %s milliseconds', ([headers, milliseconds]) => {
    expect(retryAfterOf(headers)).toBe(milliseconds);
  });

  test('may be a date', () => {
    vi.setSystemTime(Date.parse('2026-01-01T00:00:00Z'));
    expect(retryAfterOf({ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' })).toBe(60_000);
    expect(retryAfterOf({ 'retry-after': 'Wed, 31 Dec 2025 00:01:00 GMT' })).toBe(0);
    expect(retryAfterOf({ 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' })).toBe(86_400_000);
  });
});
