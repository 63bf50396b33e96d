import { setTimeout as delay } from 'node:timers/promises';
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
  const { strikeHost = async () => undefined } = fault;
  const began = performance.now();
  const before = await stage.counted();
  const cells = await Promise.all(fault.pairs.map((pair) => make(stage, pair)));
  try {
    await all(cells, start);
    await all(cells, (cell) => approachOf(cell.pair).arrive(cell));
    await strikeHost(stage);
  } catch (error) {
    await all(cells, letGo);
    await all(cells, end);
    throw error;
  }
  await all(cells, letGo);
  const trials = await Promise.all(cells.map((cell) => conclude(cell, began)));
  const problems = await hostProblems(stage, cells, before);
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
    const began = performance.now();
    const cell = await make(stage, pair);
    const missed = await strike(cell);
    const trial = await conclude(cell, began);
    trial.problems.push(...missed);
    onTrial(trial);
    return { cell, trial };
  };
  return Promise.all(pairs.map((pair) => places.runExclusive(() => one(pair))));
}

const approachOf = ({ moment, step }: Pair) => approaches[moment ?? (step === 'any' ? 'free' : step)];

const make = (stage: Stage, pair: Pair): Promise<HeldCell> => makeCell(stage, pair, approachOf(pair).closed);

async function start(cell: HeldCell): Promise<void> {
  await approachOf(cell.pair).prepare?.(cell);
  await begin(cell);
}

/** Answers why it could not be struck. */
async function strike(cell: HeldCell): Promise<string[]> {
  try {
    await start(cell);
    await approachOf(cell.pair).arrive(cell);
    await cell.pair.strike?.(cell, cell.stage);
    return [];
  } catch (error) {
    return [`was not struck: ${error instanceof Error ? error.message : String(error)}`];
  } finally {
    await letGo(cell);
  }
}

async function conclude(cell: HeldCell, began: number): Promise<Trial> {
  const { fault, step } = cell.pair;
  const outcome = await endOf(cell);
  await cell.afterwards.disposeAsync();
  const finding = await inspect(cell, outcome);
  return { name: nameOf(cell.pair), fault, step, ...finding, durationMs: Math.round(performance.now() - began) };
}

/** Longer than any cell of the suite may live. */
const longestLife = 15 * 60_000;

/** How the cell ended. A server that is away is waited for. */
async function endOf(cell: HeldCell): Promise<CellOutcome> {
  const deadline = Date.now() + longestLife;
  for (;;) {
    try {
      const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
      return await outcomeOf({ ...cell.handle, result: () => cell.handle.result({ signal }) });
    } catch (error) {
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

async function all(cells: readonly HeldCell[], work: (cell: HeldCell) => Promise<void>): Promise<void> {
  await Promise.all(cells.map(work));
}
