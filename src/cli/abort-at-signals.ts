/** Starters such as npm hand a signal on that the terminal had sent to all of its processes: milliseconds until it is another one. */
const handedOnWithin = 200;

/**
 * Aborts at the first of these signals; at the second the process ends as it would have at once. The same signal that arrives
 * once more in the next moment is the first one, on a second way.
 *
 * The listeners stay after the first signal: where no other listens, `signal-exit`, which comes with libraries of ours,
 * takes the signal for the end and kills the process.
 */
export function abortAtSignals(...signals: NodeJS.Signals[]): AbortSignal {
  const controller = new AbortController();
  let first: { signal: NodeJS.Signals; at: number } | null = null;
  const obey = (signal: NodeJS.Signals) => {
    if (first === null) {
      first = { signal, at: performance.now() };
      // Of the name by which the end of a command is told from a fault.
      return controller.abort(new DOMException(`interrupted by ${signal}`, 'AbortError'));
    }
    if (signal === first.signal && performance.now() - first.at < handedOnWithin) return;
    for (const name of signals) process.removeListener(name, obey);
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, obey);
  return controller.signal;
}
