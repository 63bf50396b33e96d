import { createProgress, type Progress, type ProgressRow } from '../../src/cli/progress.ts';
import type { Cli } from '../../src/cli/cli.ts';
import { type Strike, wreak } from './chaos.ts';
import { randomFrom } from './random.ts';
import type { Stage } from './stage.ts';
import { type EndedTask, runTasks, type Task } from './tasks.ts';

/** Runs the tasks while things are killed at moments that the seed chooses. */
export async function runWithChaos(
  stage: Stage,
  tasks: readonly Task[],
  { seed, cli, signal }: { seed: number; cli: Cli; signal: AbortSignal },
): Promise<{ ended: EndedTask[]; strikes: Strike[] }> {
  using shown = createProgress(cli.stderr, cli.noteColors);
  const rows = new Map<string, ProgressRow>();
  const progress: Progress = {
    show(row) {
      rows.set(row.name, row);
      shown.show(row);
    },
    say: (line) => shown.say(line),
    [Symbol.dispose]: () => undefined,
  };
  const over = new AbortController();
  const striking = wreak(stage, {
    random: randomFrom(seed),
    progress,
    rows,
    over: AbortSignal.any([over.signal, signal]),
  });
  const running = runTasks(stage, tasks, { progress, signal }).finally(() => over.abort());
  const [strikes, ended] = await Promise.all([striking, running]);
  return { ended, strikes };
}
