/**
 * Aborts at the first of these signals; at the second the process ends as it would have at once.
 *
 * The listeners stay after the first signal: where no other listens, `signal-exit`, which comes with libraries of ours,
 * takes the signal for the end and kills the process.
 */
export function abortAtSignals(...signals: NodeJS.Signals[]): AbortSignal {
  const controller = new AbortController();
  const obey = (signal: NodeJS.Signals) => {
    if (!controller.signal.aborted) return controller.abort(new Error(`interrupted by ${signal}`));
    for (const name of signals) process.removeListener(name, obey);
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, obey);
  return controller.signal;
}
