import { ApplicationFailure } from '@temporalio/common';
import { type WorkflowHandle, WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CellResult } from '../../../src/client.ts';
import { type ToldHost, startToldHost } from '../../support/told-host.ts';
import { waitUntil } from '../../support/wait-until.ts';

let host: ToldHost;
beforeAll(async () => void (host = await startToldHost()));
afterAll(() => host[Symbol.asyncDispose]());

describe('a cell that waits to be made anew', () => {
  test('ends as cancelled when it is cancelled', async () => {
    const cell = await host.start('cancelled', { executePrompt: lose, reviveCell: lose, revertWork: lose });
    await untilWaiting(cell);
    await cell.cancel();
    expect(await endOf(cell)).toBe('CANCELLED');
    expect(host.stepsOf(cell).at(-1)).toBe('teardownCell');
  });

  test('ends as cancelled when it is cancelled while what is left of the last one is torn down', async () => {
    const { promise: tornDown, resolve: tearDown } = Promise.withResolvers<void>();
    const teardownCell = async () => {
      await tornDown;
      return { released: [], alreadyGone: [] };
    };
    const cell = await host.start('cancelled-early', { executePrompt: lose, reviveCell: lose, teardownCell });
    await waitUntil(() => host.stepsOf(cell).includes('teardownCell'), patience);
    await cell.cancel();
    // The teardown ends well all the same: what is cancelled is the wait after it.
    tearDown();
    expect(await endOf(cell)).toBe('CANCELLED');
  });

  test('ends as reverted, for the reason that was given, when it is aborted', async () => {
    const cell = await host.start('aborted', { executePrompt: lose, reviveCell: lose, revertWork: lose });
    await untilWaiting(cell);
    await cell.signal('abort', { reason: 'enough' });
    const result: CellResult = await cell.result();
    expect(result).toMatchObject({ status: 'reverted', reason: 'enough', respawns: 1 });
    expect(host.stepsOf(cell)).not.toContain('revertWork');
  });
});

const patience = 60_000;

const lose = () => Promise.reject(ApplicationFailure.nonRetryable('the cell is gone', 'CellLost'));

/** In the second wait, the one that lasts five seconds. */
async function untilWaiting(cell: WorkflowHandle): Promise<void> {
  await waitUntil(async () => {
    const { events } = await cell.fetchHistory();
    return (events ?? []).some(({ timerStartedEventAttributes: timer }) => {
      return Number(timer?.startToFireTimeout?.seconds) === 5;
    });
  }, patience);
}

async function endOf(cell: WorkflowHandle): Promise<string> {
  await cell.result().catch((error: unknown) => {
    if (!(error instanceof WorkflowFailedError)) throw error;
  });
  return (await cell.describe()).status.name;
}
