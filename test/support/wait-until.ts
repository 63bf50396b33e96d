import waitFor from 'p-wait-for';

/** Waits until a condition holds, looking often; fails after twenty seconds, or another time in milliseconds, or when the signal aborts. */
export function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeout = 20_000,
  signal?: AbortSignal,
): Promise<void> {
  return waitFor(condition, { interval: 20, timeout, ...(signal === undefined ? {} : { signal }) });
}
