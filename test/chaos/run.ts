import { setTimeout as delay } from 'node:timers/promises';
import { allOf } from './all-of.ts';
import { Semaphore } from 'async-mutex';
import { CellFailure, type CellOutcome, cancelCell, outcomeOf, UserError } from '../../src/client.ts';
import { begin, type HeldCell, letGo, makeCell } from './held-cell.ts';
import { type Finding, inspect } from './invariants.ts';
import { hostProblems } from './host-invariants.ts';
import { approaches } from './moments.ts';
import { type Fault, nameOf, type Pair } from './pair.ts';
import type { Stage } from './stage.ts';

/** What came of one pair, tried once. */
export interface Trial extends Finding {
  /** Of the pair: `fault@step`. */
  name: string;
  fault: string;
  step: Pair['step'];
  durationMs: number;
}

export type OnTrial = (trial: Trial) => void;

/** Lets a fault loose on the whole host while a cell stands at each of its places, and looks at each of them afterwards. */
export async function runHostFault(stage: Stage, fault: Fault, onTrial: OnTrial): Promise<Trial[]> {
  const began = performance.now();
  const before = await stage.counted();
  const cells = await allOf(fault.pairs.map((pair) => make(stage, pair)));
  const missed = await unlessMissed(cells, async () => {
    await allOf(cells.map(arrive));
    await fault.strikeHost?.(stage, cells);
  });
  const trials = await allOf(cells.map((cell) => conclude(cell, began)));
  const problems = [...missed, ...(await hostProblems(stage, cells, before))];
  for (const trial of trials) trial.problems.push(...problems);
  trials.forEach(onTrial);
  return trials;
}

/** Strikes cells one by one, so many at a time: what strikes one of them is nothing to the others. */
export async function runCellFaults(stage: Stage, pairs: readonly Pair[], onTrial: OnTrial): Promise<Trial[]> {
  const before = await stage.counted();
  const ended = await runFree(stage, pairs, 6, onTrial);
  const cells = ended.map(({ cell }) => cell);
  const problems = await hostProblems(stage, cells, before);
  for (const { trial } of ended) trial.problems.push(...problems);
  return ended.map(({ trial }) => trial);
}

/** Cells that come and go, so many at a time. */
export async function runFree(
  stage: Stage,
  pairs: readonly Pair[],
  atOnce: number,
  onTrial: OnTrial,
): Promise<{ cell: HeldCell; trial: Trial }[]> {
  const places = new Semaphore(atOnce);
  const one = async (pair: Pair) => {
    stage.signal.throwIfAborted();
    const began = performance.now();
    const cell = await make(stage, pair);
    const missed = await unlessMissed([cell], async () => {
      await arrive(cell);
      await pair.strike?.(cell, stage);
    });
    const trial = await conclude(cell, began);
    trial.problems.push(...missed);
    onTrial(trial);
    return { cell, trial };
  };
  return allOf(pairs.map((pair) => places.runExclusive(() => one(pair))));
}

const approachOf = ({ moment, step }: Pair) => approaches[moment ?? (step === 'any' ? 'free' : step)];

const make = (stage: Stage, pair: Pair): Promise<HeldCell> => makeCell(stage, pair, approachOf(pair).closed);

async function arrive(cell: HeldCell): Promise<void> {
  const approach = approachOf(cell.pair);
  await approach.prepare?.(cell);
  await begin(cell);
  await approach.arrive(cell);
}

/** Lets the cells go on, struck or not, and answers why they were not. */
async function unlessMissed(cells: readonly HeldCell[], strike: () => Promise<void>): Promise<string[]> {
  try {
    await strike();
    return [];
  } catch (error) {
    return [`was not struck as it should have been: ${error instanceof Error ? error.message : String(error)}`];
  } finally {
    await Promise.all(cells.map(letGo));
  }
}

async function conclude(cell: HeldCell, began: number): Promise<Trial> {
  const { fault, step } = cell.pair;
  const outcome = await endOf(cell);
  await cell.afterwards.disposeAsync();
  cell.stage.signal.throwIfAborted();
  const finding = await inspect(cell, outcome);
  return { name: nameOf(cell.pair), fault, step, ...finding, durationMs: Math.round(performance.now() - began) };
}

/** Longer than any cell of the suite lives, on a machine that has a tenth of its time for it. */
const longestLife = 40 * 60_000;

/** How the cell ended. A server that is away is waited for. */
async function endOf(cell: HeldCell): Promise<CellOutcome> {
  const deadline = Date.now() + longestLife;
  for (;;) {
    try {
      const signal = AbortSignal.any([cell.stage.signal, AbortSignal.timeout(Math.max(1, deadline - Date.now()))]);
      return await outcomeOf({ ...cell.handle, result: () => cell.handle.result({ signal }) });
    } catch (error) {
      cell.stage.signal.throwIfAborted();
      if (Date.now() > deadline) {
        await end(cell);
        return { kind: 'failure', failure: new CellFailure('WorkflowFailed', 'it did not end in time', null, error) };
      }
      if (!(error instanceof UserError && error.code === 'TemporalUnreachable')) throw error;
      await delay(500);
    }
  }
}

async function end({ stage, handle }: HeldCell): Promise<void> {
  if (handle.workflowId !== '') await cancelCell(stage.fleet.client, handle.workflowId).catch(() => undefined);
}
