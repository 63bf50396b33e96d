/** How long after an abort the engine has to answer, so that what was made is undone, milliseconds. */
const patienceMs = 5_000;

/**
 * Waits for what asks the engine, and for it no longer than a few seconds after the signal has aborted: an engine that hangs answers nothing.
 * The work looks at the signal by itself, and undoes what it has made, when the engine answers after all.
 */
export async function unlessHung<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise: hung, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const aborted = () => (timer = setTimeout(() => reject(signal.reason), patienceMs));
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) aborted();
  try {
    return await Promise.race([work, hung]);
  } finally {
    signal.removeEventListener('abort', aborted);
    clearTimeout(timer);
  }
}
