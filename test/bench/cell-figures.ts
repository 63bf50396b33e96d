import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { cellPaths } from '../../src/cell/paths.ts';
import { type CellHandle, type CellOutcome, outcomeOf } from '../../src/client.ts';
import type { Fleet } from '../support/bring-up-fleet.ts';
import type { Accounts } from './accounts.ts';
import { costOf } from './accounts.ts';
import { type RunFigures, type TimeName, timeNames } from './results.ts';
import { distribution } from './statistics.ts';

/** What is known of a cell that has ended. */
export interface EndedCell {
  name: string;
  outcome: CellOutcome;
  /** Milliseconds; null where the cell did not come that far. */
  times: Record<TimeName, number | null>;
  historyEvents: number;
}

/** Waits for a cell's end and takes its figures. */
export async function endOf(fleet: Fleet, handle: CellHandle, signal: AbortSignal): Promise<EndedCell> {
  const outcome = await outcomeOf(handle, { signal });
  const { historyLength } = await fleet.client.workflow.getHandle(handle.workflowId, handle.runId).describe();
  const { cellId, metrics } = outcome.kind === 'verdict' ? outcome.result : (outcome.failure.report ?? nothingKnown);
  return {
    name: handle.workflowId,
    outcome,
    times: {
      queue: metrics?.queueMs ?? null,
      spawn: metrics?.spawnMs ?? null,
      firstToken: cellId === null ? null : await firstTokenMs(fleet, cellId),
      execution: metrics?.executionMs ?? null,
      test: metrics?.testMs ?? null,
      commit: metrics?.commitMs ?? null,
      teardown: metrics?.teardownMs ?? null,
      total: metrics?.totalMs ?? null,
    },
    historyEvents: historyLength,
  };
}

const nothingKnown = { cellId: null, metrics: null };

/** The figures of all cells of a run. */
export function runFigures(
  cells: readonly EndedCell[],
  run: { wallSeconds: number; before: Accounts; after: Accounts; leftovers: string[] },
): RunFigures {
  const timesOf = (name: TimeName) => cells.flatMap(({ times }) => times[name] ?? []);
  return {
    cells: cells.length,
    unexpected: cells.flatMap(unexpected),
    leftovers: run.leftovers,
    wallSeconds: run.wallSeconds,
    cost: costOf(run.before, run.after, cells.length),
    // `timeNames` are all of the names.
    times: Object.fromEntries(timeNames.map((name) => [name, distribution(timesOf(name))])) as RunFigures['times'],
    historyEvents: distribution(cells.map(({ historyEvents }) => historyEvents)),
  };
}

function unexpected({ name, outcome }: EndedCell): string[] {
  if (outcome.kind === 'failure') return [`${name}: ${outcome.failure.type}: ${outcome.failure.message}`];
  const { status, reason } = outcome.result;
  return status === 'committed' ? [] : [`${name}: ${status}: ${reason}`];
}

const transcript = v.array(
  v.object({
    info: v.object({ role: v.string(), sessionID: v.string(), time: v.object({ created: v.number() }) }),
  }),
);

/**
 * From the moment at which the server took the prompt to the first byte of the model: the scripted model answers at once, so that
 * this is when its request came in.
 */
async function firstTokenMs(fleet: Fleet, cellId: string): Promise<number | null> {
  const file = cellPaths(fleet.stateDirectory, cellId).transcript;
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const prompt = v.parse(transcript, JSON.parse(text)).find(({ info }) => info.role === 'user')?.info;
  const asked = fleet.model
    .ledger()
    .find(({ session, round, turn }) => session === prompt?.sessionID && round === 1 && turn === 1);
  return prompt === undefined || asked === undefined ? null : asked.at - prompt.time.created;
}
