/**
 * Does something again and again until it is disposed of, which waits for what is being done. Where that takes longer than the interval, on a host that
 * is slower than its clock, the next time is the one after: nothing piles up, for the work or for whoever disposes of it.
 *
 * @param work must not reject
 * @param intervalMs from one beginning to the next
 */
export function repeat(work: () => Promise<void>, intervalMs: number): AsyncDisposable {
  let working: Promise<void> | null = null;
  const timer = setInterval(() => {
    working ??= work().finally(() => (working = null));
  }, intervalMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await working;
    },
  };
}
