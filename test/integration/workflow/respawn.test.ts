import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type WorkflowHandle, WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommitReport, ExecuteProgress } from '../../../activities/contract.ts';
import type { CellResult, CellState } from '../../../src/client.ts';
import { claimGivenBack, hostCloses } from '../../../src/domain/names.ts';
import { type ToldHost, claimed, startToldHost, untilStepIsToEnd, usageOf } from '../../support/told-host.ts';
import { waitUntil } from '../../support/wait-until.ts';

const kept = 'refs/cells/reverted/0123456789abcdef';

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
    // Once for each cell that was lost: nothing is left then of which work could be kept.
    expect(host.stepsOf(cell).filter((step) => step === 'revertWork')).toHaveLength(2);
    expect(host.stepsOf(cell).slice(-2)).toEqual(['teardownCell', 'teardownCell']);
  });
});

describe('a cell whose server is lost more often than it may be replaced', () => {
  test('is made anew, and says where the work is kept that there was', async () => {
    const prompts = [lose, () => Promise.resolve({ kind: 'finished', usage: usageOf(10) } as const)];
    let toldAtRevert: Record<string, unknown> | undefined;
    const cell: WorkflowHandle = await host.start('kept', {
      executePrompt: () => (prompts.shift() ?? lose)(),
      reviveCell: lose,
      revertWork: async () => {
        toldAtRevert = await memoOf(cell);
        return { revertedRef: kept, filesModified: [], usage: usageOf(100) };
      },
      commitWork: () => Promise.resolve({ kind: 'unchanged', protectedPathsTouched: [] }),
    });
    const result: CellResult = await cell.result();
    expect(result).toMatchObject({ status: 'unchanged', revertedRef: kept, tokens: { total: 110 }, respawns: 1 });
    const lost = host.stepsOf(cell).slice(host.stepsOf(cell).indexOf('reviveCell') + 1);
    expect(lost.slice(0, 2)).toEqual(['revertWork', 'teardownCell']);
    // The reaper releases a cell from the moment that its run has come to another one.
    expect(toldAtRevert).not.toHaveProperty('respawn');
    expect(await memoOf(cell)).toMatchObject({ respawn: 1 });
    const { history }: CellState = await cell.query('state');
    expect(history).toContainEqual(expect.objectContaining({ reason: `its work so far is kept as ${kept}` }));
  });

  test('is named, with its work, in the report of a run that is ended while it waits for a host again', async () => {
    const claims = [() => Promise.resolve(claimed)];
    const cell = await host.start('named', {
      claimHost: () => (claims.shift() ?? noRoom)(),
      executePrompt: lose,
      reviveCell: lose,
      revertWork: () => Promise.resolve({ revertedRef: kept, filesModified: [], usage: null }),
    });
    await waitUntil(() => host.stepsOf(cell).filter((step) => step === 'claimHost').length > 1, patience);
    await cell.signal('abort', { reason: 'enough' });
    const { cellId, host: on, runtime } = claimed;
    const result: CellResult = await cell.result();
    expect(result).toMatchObject({ cellId, host: on, runtime, baseCommit: 'b', revertedRef: kept, reason: 'enough' });
  });
});

describe('a cell whose host ends its cells', () => {
  const cause = ApplicationFailure.nonRetryable('the host shuts down', hostCloses);
  const details = [{ ...usageOf(1000), revertedRef: kept }];
  const close = () =>
    Promise.reject(ApplicationFailure.create({ type: 'CellLost', nonRetryable: true, message: '', cause, details }));

  test('counts what its agent has used, and says where its work is kept', async () => {
    const prompts = [close, () => Promise.resolve({ kind: 'finished', usage: usageOf(10) } as const)];
    const cell = await host.start('closed', {
      executePrompt: () => (prompts.shift() ?? lose)(),
      commitWork: () => Promise.resolve({ kind: 'unchanged', protectedPathsTouched: [] }),
    });
    const result: CellResult = await cell.result();
    expect(result).toMatchObject({ status: 'unchanged', revertedRef: kept, tokens: { total: 1010 }, respawns: 1 });
  });

  test('does so too when it is aborted meanwhile, and is reverted as it was told', async () => {
    const { promise: aborted, resolve: goOn } = Promise.withResolvers<void>();
    const cell = await host.start('closed-and-aborted', {
      executePrompt: async () => {
        await aborted;
        return await close();
      },
      revertWork: lose,
    });
    await waitUntil(() => host.stepsOf(cell).includes('executePrompt'), patience);
    await cell.signal('abort', { reason: 'enough' });
    await untilStepIsToEnd(cell);
    goOn();
    const result: CellResult = await cell.result();
    expect(result).toMatchObject({ status: 'reverted', reason: 'enough', revertedRef: kept, tokens: { total: 1000 } });
    expect(host.stepsOf(cell)).not.toContain('revertWork');
  });
});

describe('a cell whose worker has died', () => {
  test('ends as cancelled when it is cancelled meanwhile, with what its agent had used', async () => {
    const cell = await host.start('dead', {
      executePrompt: async () => {
        const progress: ExecuteProgress = { sessionId: 's', tokens: usageOf(50).tokens, silentForMs: 0, doing: '' };
        Context.current().heartbeat(progress);
        return await new Promise(() => {});
      },
    });
    await waitUntil(async () => {
      const { raw } = await cell.describe();
      return (raw.pendingActivities ?? []).some(({ heartbeatDetails }) => heartbeatDetails?.payloads?.length === 1);
    }, patience);
    await cell.cancel();
    expect(await endOf(cell)).toBe('CANCELLED');
    expect(await cell.query('state')).toMatchObject({ tokens: { total: 50 } });
    expect(host.stepsOf(cell).slice(-2)).toEqual(['revertWork', 'teardownCell']);
  });

  test.each(['cancelled', 'aborted'])(
    'in its commit is committed, for it may have been, also when it is %s',
    async (how) => {
      let commits = 0;
      const committed: CommitReport = {
        kind: 'committed',
        branch: 'x',
        commit: 'c',
        filesModified: [],
        protectedPathsTouched: [],
      };
      const cell = await host.start(`committing-${how}`, {
        claimHost: () => Promise.resolve({ ...claimed, finishesCommits: true }),
        commitWork: () =>
          (commits += 1) === 1 ? Promise.reject(new Error('the worker died')) : Promise.resolve(committed),
      });
      await waitUntil(() => commits === 1, patience);
      await (how === 'aborted' ? cell.signal('abort', { reason: 'enough' }) : cell.cancel());
      expect(await cell.result()).toMatchObject({ status: 'committed' });
      expect(host.stepsOf(cell)).not.toContain('revertWork');
    },
  );
});

const patience = 60_000;

const memoOf = async (cell: WorkflowHandle) => (await cell.describe()).memo;

const noRoom = () => Promise.reject(ApplicationFailure.retryable('no room', claimGivenBack));

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
