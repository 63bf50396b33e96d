import { describe, expect, test } from 'vitest';
import { createBreaker } from '../../../src/cell/breaker.ts';

const minute = 60_000;

/** A breaker with the defaults, and a clock that is set by hand. */
function breakerAt(start = 1_000_000) {
  let at = start;
  const breaker = createBreaker({ clock: () => at });
  return { breaker, pass: (milliseconds: number) => void (at += milliseconds), start };
}

function failTimes(breaker: ReturnType<typeof createBreaker>, times: number): void {
  for (let time = 0; time < times; time += 1) breaker.failed(`cell ${time}`);
}

describe('a breaker', () => {
  test('stays closed at four failures within a minute, and opens for a minute at the fifth', () => {
    const { breaker, start } = breakerAt();
    failTimes(breaker, 4);
    expect(breaker.now()).toEqual({ state: 'closed', failures: 4, nextTryAt: null });
    breaker.failed('one more');
    expect(breaker.now()).toEqual({ state: 'open', failures: 5, nextTryAt: start + minute });
  });

  test('does not count what failed more than a minute ago', () => {
    const { breaker, pass } = breakerAt();
    failTimes(breaker, 4);
    pass(minute);
    failTimes(breaker, 4);
    expect(breaker.now()).toMatchObject({ state: 'closed', failures: 4 });
  });

  test('does not open for one thing that fails however often: that speaks against the thing', () => {
    const { breaker } = breakerAt();
    for (let time = 0; time < 20; time += 1) breaker.failed('the same cell');
    expect(breaker.now().state).toBe('closed');
    breaker.failed('another cell');
    expect(breaker.now().state).toBe('open');
  });

  test('lets one try through after its pause, which closes it', () => {
    const { breaker, pass } = breakerAt();
    failTimes(breaker, 5);
    breaker.succeeded();
    expect(breaker.now().state, 'a success of what was begun before').toBe('open');
    pass(minute);
    expect(breaker.now().state).toBe('half-open');
    breaker.tried();
    breaker.succeeded();
    expect(breaker.now()).toEqual({ state: 'closed', failures: 0, nextTryAt: null });
  });

  test('opens for another pause when the try fails, and is not kept open by what fails meanwhile', () => {
    const { breaker, pass, start } = breakerAt();
    failTimes(breaker, 5);
    pass(minute / 2);
    breaker.failed('another attempt of a cell that was there');
    expect(breaker.now().nextTryAt).toBe(start + minute);
    pass(minute / 2);
    breaker.tried();
    pass(1_000);
    breaker.failed('the try');
    expect(breaker.now()).toMatchObject({ state: 'open', nextTryAt: start + 2 * minute + 1_000 });
  });

  test('allows another try after a pause when nothing is heard of the first', () => {
    const { breaker, pass, start } = breakerAt();
    failTimes(breaker, 5);
    pass(minute);
    breaker.tried();
    expect(breaker.now()).toMatchObject({ state: 'half-open', nextTryAt: start + 2 * minute });
    pass(minute);
    expect(breaker.now()).toMatchObject({ state: 'half-open', nextTryAt: start + 2 * minute });
  });
});
