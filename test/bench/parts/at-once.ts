import { settled, takeAccounts } from '../accounts.ts';
import { endOf, runFigures } from '../cell-figures.ts';
import type { AtOnceFigures, RunFigures } from '../results.ts';
import { type BenchFleet, type Stage, openBenchFleet } from '../stage.ts';
import { request } from './request.ts';

const runsOfFew = { one: 5, ten: 3 };

/** Starts 1, 10 and all cells at once; small numbers several times. */
export async function runAtOnce(
  stage: Stage,
  { cells, quick }: { cells: number; quick: boolean },
): Promise<AtOnceFigures[]> {
  const runsOf = (size: number) => (size > 10 || quick ? 1 : runsOfFew[size === 1 ? 'one' : 'ten']);
  await using bench = await openBenchFleet(stage, { capacity: cells });
  const sizes = [1, 10, cells].filter((size, index, all) => size <= cells && all.indexOf(size) === index);
  const figures: AtOnceFigures[] = [];
  for (const size of sizes) {
    const runs: RunFigures[] = [];
    for (let run = 0; run < runsOf(size); run += 1) {
      stage.say(`${size} at once, ${run + 1} of ${runsOf(size)}`);
      runs.push(await runOnce(bench, { size, task: `at-once-${size}-${run + 1}` }, stage.signal));
    }
    figures.push({ size, runs });
  }
  return figures;
}

async function runOnce(
  bench: BenchFleet,
  { size, task }: { size: number; task: string },
  signal: AbortSignal,
): Promise<RunFigures> {
  const { fleet } = bench;
  const before = await takeAccounts(bench);
  const started = performance.now();
  const cells = Array.from({ length: size }, async (_, index) =>
    endOf(fleet, await fleet.start('edit', request(task, index)), signal),
  );
  const ended = await Promise.all(cells);
  const wallSeconds = (performance.now() - started) / 1000;
  const leftovers = await settled(bench);
  return runFigures(ended, { wallSeconds, before, after: await takeAccounts(bench), leftovers });
}
