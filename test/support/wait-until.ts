import waitFor from 'p-wait-for';

/** Waits until a condition holds, looking often; fails after twenty seconds, or another time in milliseconds. */
export function waitUntil(condition: () => boolean | Promise<boolean>, timeout = 20_000): Promise<void> {
  return waitFor(condition, { interval: 20, timeout });
}
