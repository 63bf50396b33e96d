import waitFor from 'p-wait-for';

/** Waits until a condition holds, looking often; fails after twenty seconds. */
export function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  return waitFor(condition, { interval: 20, timeout: 20_000 });
}
