import { describe, expect, test } from 'vitest';
import { createWaits } from '../../../activities/told-waits.ts';

const seconds = 1000;
const hours = 3600 * seconds;

/** What was told, and when, of an agent that is looked at twice a second. */
function told(lasting: number, waitingAt: (now: number) => string | null) {
  const waits = createWaits();
  const said: [at: number, what: string | null][] = [];
  for (let now = 0; now < lasting; now += 500) {
    if (waits.changed(waitingAt(now), now)) said.push([now / seconds, waits.told()]);
  }
  return said;
}

describe('a wait of an agent', () => {
  test('is told when it lasts, and when it is over', () => {
    const short = (now: number) => (now >= 10 * seconds && now < 14 * seconds ? 'the provider' : null);
    expect(told(60 * seconds, short)).toEqual([]);
    const long = (now: number) => (now >= 10 * seconds && now < 30 * seconds ? 'the provider' : null);
    expect(told(60 * seconds, long)).toEqual([
      [15, 'the provider'],
      [30, null],
    ]);
  });

  test('is told once a minute at most, though another one begins all the time', () => {
    const flapping = (now: number) => (now % (8 * seconds) < 6.5 * seconds ? 'the provider' : null);
    const said = told(12 * hours, flapping);
    expect(said.slice(0, 2)).toEqual([
      [5, 'the provider'],
      [6.5, null],
    ]);
    expect(said.length).toBeGreaterThan(0);
    expect(said.length).toBeLessThanOrEqual(2 * 12 * 60);
  });

  test('is told in the end, when it goes on after one that was told just before', () => {
    const again = (now: number) => (now < 10 * seconds || now >= 12 * seconds ? 'the provider' : null);
    expect(told(200 * seconds, again)).toEqual([
      [5, 'the provider'],
      [10, null],
      [65, 'the provider'],
    ]);
  });

  test('is told anew when there is something else to say of it, but not at once', () => {
    const changing = (now: number) => `try ${Math.floor(now / (10 * seconds))}`;
    expect(told(130 * seconds, changing)).toEqual([
      [5, 'try 0'],
      [65, 'try 6'],
      [125, 'try 12'],
    ]);
  });
});
