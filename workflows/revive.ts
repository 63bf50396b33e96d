import { patched, sleep } from '@temporalio/workflow';
import type { ExecuteReport } from '../activities/contract.ts';
import type { HostSteps } from './activity-proxies.ts';
import { type CellRecord, budgetOfCell, cellIdOf, enter, memoryOf, publish, recordUsage } from './cell-record.ts';
import { type Ending, type FailedEnding, endingOf } from './ending.ts';
import { longerTime, moreMemory } from './escalation.ts';
import type { Life } from './life.ts';

/** How often the server of a cell is replaced in one round, and how long to wait before, milliseconds. */
const revivals = [1_000, 4_000, 15_000];

/**
 * A server that ends or hangs is replaced on the same worktree, with the same session: the agent goes on where it was,
 * and the budget and the deadline go on counting. So is one whose agent hangs, once in the life of a cell, and one that ran out of
 * memory, once with more of it. What cannot be replaced is lost.
 */
export async function executeOrRevive(
  host: HostSteps,
  life: Life,
  { round, text }: { round: number; text: string },
): Promise<ExecuteReport> {
  const { record } = life;
  const execute = () => {
    const patience = record.patience === 1 ? {} : { patience: record.patience };
    return host.execute({ cellId: cellIdOf(record), round, text, tokenBudget: budgetOfCell(record), ...patience });
  };
  for (const wait of revivals) {
    try {
      return await execute();
    } catch (error) {
      const ending = endingOf(error, null, record.step);
      if (!mayRevive(ending, life)) throw error;
      await revive(host, life, ending, wait);
    }
  }
  return execute();
}

function mayRevive(ending: Ending, { record }: Life): ending is FailedEnding {
  if (ending.kind !== 'failure') return false;
  if (ending.lost === 'cell') return !hasSpentMemory(ending, record) && patched('recover');
  return ending.hangs === true && record.patience === 1 && patched('escalate');
}

/** A cell that ran out of memory, and had been given more before. */
export function hasSpentMemory(ending: FailedEnding, { memory }: CellRecord): boolean {
  return ending.outOfMemory === true && memory > 1;
}

async function revive(host: HostSteps, { record, request, owner }: Life, ending: FailedEnding, wait: number) {
  const { step } = record;
  if (ending.usage) recordUsage(record, ending.usage);
  enter(record, 'error', step, ending.reason);
  enter(record, 'recovering', step, `another server on the same worktree, in ${wait / 1000} s`);
  publish(record);
  if (ending.outOfMemory && patched('more-memory')) record.memory = moreMemory(record.memory);
  await sleep(wait, { summary: 'recover: wait before the server is replaced' });
  record.spawned = await host.revive({
    owner,
    cellId: cellIdOf(record),
    request: { ...request, prompt: '' },
    ...(ending.hangs ? { replace: true } : {}),
    ...memoryOf(record),
  });
  record.attempt += 1;
  if (ending.hangs) record.patience = longerTime(record.patience);
  enter(record, 'ready', step);
  enter(record, 'processing', step, givenMore(ending, record));
  publish(record);
}

function givenMore(ending: FailedEnding, { patience, memory }: CellRecord): string | undefined {
  if (ending.hangs) return `the agent may be silent ${patience} times as long`;
  return ending.outOfMemory ? `the cell may use ${memory} times its memory limit` : undefined;
}
