import type { CellRuntime } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';

/**
 * Asks every runtime of a host. The one that cannot be used there is asked too, as an earlier worker may have used it; where it fails, it
 * being closed to this user or hanging, the others' answers are all that there are.
 */
export async function askRuntimes<Answer>(
  { runtimes }: Pick<CellHost, 'runtimes'>,
  ask: (runtime: CellRuntime) => Promise<Answer>,
): Promise<Answer[]> {
  const answers = Object.values(runtimes).map(async ({ runtime, probe }) => {
    try {
      return [await ask(runtime)];
    } catch (error) {
      if (probe.usable) throw error;
      return [];
    }
  });
  return (await Promise.all(answers)).flat();
}
