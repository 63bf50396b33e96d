import { settled, takeAccounts } from '../accounts.ts';
import { type EndedCell, endOf, runFigures } from '../cell-figures.ts';
import type { SequenceFigures } from '../results.ts';
import { type BenchFleet, type Stage, openBenchFleet } from '../stage.ts';
import { slope } from '../statistics.ts';
import { descriptorsOf, memoryOf } from '../usage.ts';
import { request } from './request.ts';

/** So many cells at a time: a small fleet that is never idle. */
const concurrency = 8;

/** Runs cells one after the other, a few at a time, and looks at what grows in the worker and the supervisor. */
export async function runSequence(stage: Stage, cells: number): Promise<SequenceFigures> {
  await using bench = await openBenchFleet(stage, { capacity: concurrency });
  const before = await takeAccounts(bench);
  const started = performance.now();
  const growth = [await look(bench, 0)];
  const every = Math.max(1, Math.round(cells / 50));
  const ended: EndedCell[] = [];
  let next = 0;
  const runNext = async (): Promise<void> => {
    while (next < cells) {
      stage.signal.throwIfAborted();
      const handle = await bench.fleet.start('edit', request('sequence', next++));
      ended.push(await endOf(bench.fleet, handle, stage.signal));
      if (ended.length % every !== 0) continue;
      growth.push(await look(bench, ended.length));
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

type Look = SequenceFigures['growth'][number];

async function look({ pids }: BenchFleet, cells: number): Promise<Look> {
  const memory = async (pid: number) => (await memoryOf(pid))?.anonymous ?? 0;
  const files = async (pid: number) => (await descriptorsOf(pid)) ?? 0;
  return {
    cells,
    worker: await memory(pids.worker),
    supervisor: await memory(pids.supervisor),
    workerFiles: await files(pids.worker),
    supervisorFiles: await files(pids.supervisor),
  };
}

/** Of the second half: what is filled once, such as caches and code, is filled in the first. */
function slopesOf(growth: readonly Look[]): SequenceFigures['slope'] {
  const half = growth.slice(Math.floor(growth.length / 2));
  const perHundred = (pick: (look: Look) => number) => 100 * slope(half.map((at) => ({ x: at.cells, y: pick(at) })));
  return { worker: perHundred(({ worker }) => worker), supervisor: perHundred(({ supervisor }) => supervisor) };
}
