import { settled, takeAccounts } from '../accounts.ts';
import { type EndedCell, endOf, runFigures } from '../cell-figures.ts';
import type { SequenceFigures } from '../results.ts';
import { type Stage, openBenchFleet } from '../stage.ts';
import { slope } from '../statistics.ts';
import { look } from '../growth.ts';
import { request } from './request.ts';

/** So many cells at a time: a small fleet that is never idle. */
const concurrency = 8;

/** Runs cells one after the other, a few at a time, and looks at what grows in the worker and the supervisor. */
export async function runSequence(stage: Stage, cells: number): Promise<SequenceFigures> {
  await using bench = await openBenchFleet(stage, { capacity: concurrency });
  const before = await takeAccounts(bench);
  const started = performance.now();
  const growth = [{ cells: 0, ...(await look(bench)) }];
  const every = Math.max(1, Math.round(cells / 50));
  const ended: EndedCell[] = [];
  let next = 0;
  const runNext = async (): Promise<void> => {
    while (next < cells) {
      stage.signal.throwIfAborted();
      const handle = await bench.fleet.start('edit', request('sequence', next++));
      ended.push(await endOf(bench.fleet, handle, stage.signal));
      if (ended.length % every !== 0) continue;
      growth.push({ cells: ended.length, ...(await look(bench)) });
      stage.say(`${ended.length} of ${cells} in sequence`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runNext));
  const wallSeconds = (performance.now() - started) / 1000;
  const leftovers = await settled(bench);
  return {
    ...runFigures(ended, { wallSeconds, before, after: await takeAccounts(bench), leftovers }),
    concurrency,
    growth,
    slope: slopesOf(growth),
  };
}

type Growth = SequenceFigures['growth'];

/** Of the second half: what is filled once, such as caches and code, is filled in the first. */
function slopesOf(growth: Growth): SequenceFigures['slope'] {
  const half = growth.slice(Math.floor(growth.length / 2));
  const perHundred = (pick: (each: Growth[number]) => number) =>
    100 * slope(half.map((at) => ({ x: at.cells, y: pick(at) })));
  return { worker: perHundred(({ worker }) => worker), supervisor: perHundred(({ supervisor }) => supervisor) };
}
