import type { Answer, Order, Work } from './work.ts';

/**
 * Does the works that the process above asks for, as many at a time as it asks, until that process ends or lets go. Signals that end a
 * whole group are not obeyed: the one above still has works when it is asked to end.
 */
export function serveWorks(works: readonly Work<never, unknown>[]): void {
  const byName = new Map(works.map((work) => [work.name, work]));
  const running = new Map<number, AbortController>();
  // Where nobody hears it any more, this process ends as well.
  const answer = (message: Answer) => process.send?.(message, () => undefined);

  process.on('message', (message) => {
    const order = message as Order; // sent by the runner
    if ('abort' in order) running.get(order.abort)?.abort();
    else void perform(order.id, byName.get(order.work), order.input);
  });
  process.once('disconnect', () => process.exit());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

  async function perform(id: number, work: Work<never, unknown> | undefined, input: unknown): Promise<void> {
    const aborted = new AbortController();
    running.set(id, aborted);
    try {
      if (work === undefined) throw new Error('no such work');
      answer({ id, output: await work.run(input as never, aborted.signal) });
    } catch (error) {
      answer({ id, failed: error instanceof Error ? error.message : String(error) });
    } finally {
      running.delete(id);
    }
  }
}
