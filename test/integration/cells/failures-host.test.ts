import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import waitFor from 'p-wait-for';
import { describe, expect, test } from 'vitest';
import { type CellHandle, type CellRequest, cellState } from '../../../src/client.ts';
import { failures, type FailureType } from '../../../src/domain/failures.ts';
import { anyReport, type Failure, failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';

const limits = { timeout: 240_000 };

describe('a cell that finds no place', () => {
  test('gives up after its time in the queue; an agent that says nothing gives its place back', limits, async () => {
    await using fleet = await startFleet({ env: { CELLS_CAPACITY: '1', CELLS_SILENCE_LIMIT: '6s' } });
    const silent = await fleet.start('silent');
    await until(fleet, silent, ({ cell }) => cell.host !== null);
    const waiting = await fleet.start('edit-file', { queueTimeout: '1s' });

    const queued = await failureOf(fleet.client, waiting);
    expectFailure(queued, 'QueueTimedOut', /no host had room/);
    expect(queued.report).toMatchObject({ cellId: null, host: null, runtime: null, metrics: { spawnMs: 0 } });
    expect(queued.report.metrics.queueMs).toBeGreaterThanOrEqual(900);

    const hung = await failureOf(fleet.client, silent);
    expectFailure(hung, 'AgentFailed', /silent for \d+ seconds/);
    const { attempt, history } = await cellState(fleet.client, silent.workflowId);
    expect(attempt).toBe(2);
    expect(history.filter(({ lifecycle }) => lifecycle === 'recovering')).toHaveLength(1);
    await nothingLeft(fleet);
    const next = await fleet.start('edit-file', { agentId: 'next' });
    await until(fleet, next, ({ cell }) => cell.host === fleet.hostId);
  });
});

describe('a request that this host cannot serve', () => {
  test('is refused with the field, and no place is taken for it', limits, async () => {
    await using fleet = await startFleet({ env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' } });
    const cases: [agentId: string, request: Partial<CellRequest>, message: RegExp][] = [
      ['type', { agentType: 'nobody' }, /^agentType: .*nobody.*worker/],
      ['docker', { runtime: 'docker' }, /^runtime: docker is not available on this host/],
      ['resources', { runtime: 'process', resources: { memory: '1g' } }, /^resources: the process runtime cannot/],
      ['network', { runtime: 'process', network: 'none' }, /^network: the process runtime cannot/],
      [
        'allow',
        { runtime: 'process', network: { allow: ['example.com:443'] } },
        /^network: the process runtime cannot/,
      ],
    ];
    const refused = await Promise.all(
      cases.map(async ([agentId, request]) =>
        failureOf(fleet.client, await fleet.start('edit-file', { agentId, ...request })),
      ),
    );
    cases.forEach(([agentId, , message], index) => {
      expectFailure(refused[index], 'InvalidCellRequest', message);
      expect(refused[index]?.report, agentId).toMatchObject({ agentId, cellId: null, host: null });
    });
    expect(fleet.model.ledger()).toEqual([]);
    await nothingLeft(fleet);
  });
});

describe('a cell that cannot be made', () => {
  test('says what is missing, after some tries, and leaves nothing', limits, async () => {
    await using fleet = await startFleet();
    const worktrees = join(fleet.stateDirectory, 'worktrees');
    await rm(worktrees, { recursive: true, force: true });
    await writeFile(worktrees, 'in the way\n');
    const noDirectory = await failureOf(fleet.client, await fleet.start('edit-file'));
    expectFailure(noDirectory, 'SpawnFailed', /worktrees/);
    await rm(worktrees);
    await nothingLeft(fleet);
    expect(fleet.model.ledger()).toEqual([]);
  });
});

describe('a cell that is taken away again and again', () => {
  test('is lost in the end, with what it had used', limits, async () => {
    await using fleet = await startFleet();
    const cell = await fleet.start('slow', { agentId: 'unlucky' });
    const taking = new AbortController();
    const taken = takeWorktrees(fleet, taking.signal);
    const lost = await failureOf(fleet.client, cell);
    taking.abort();
    expect((await taken).size).toBe(3);
    expectFailure(lost, 'CellLost', /the worktree of cell .* is gone/);
    expect(lost?.report).toMatchObject({ respawns: 2, agentId: 'unlucky' });
    expect(lost?.report).not.toHaveProperty('revertedRef');
    expect(lost?.report.tokens.total).toBeGreaterThan(0);
    await nothingLeft(fleet);
  });
});

/** Removes the worktree of every cell while its agent waits for its model. Answers the cells. */
async function takeWorktrees(fleet: Fleet, signal: AbortSignal): Promise<Set<string>> {
  const taken = new Set<string>();
  while (!signal.aborted) {
    // The second turn of the script takes a minute: each cell is at work when it is taken away.
    const atWork = fleet.model.ledger().filter(({ turn }) => turn === 2).length;
    for (const cellId of await readdir(join(fleet.stateDirectory, 'worktrees')).catch(() => [])) {
      if (taken.has(cellId) || atWork <= taken.size) continue;
      taken.add(cellId);
      await rm(join(fleet.stateDirectory, 'worktrees', cellId), { recursive: true, force: true, maxRetries: 5 });
    }
    await setTimeout(50);
  }
  return taken;
}

const stateOf = (fleet: Fleet, { workflowId }: CellHandle) => cellState(fleet.client, workflowId);

async function until(
  fleet: Fleet,
  cell: CellHandle,
  condition: (state: Awaited<ReturnType<typeof stateOf>>) => boolean,
): Promise<void> {
  await waitFor(async () => condition(await stateOf(fleet, cell)), { interval: 100, timeout: 60_000 });
}

function expectFailure(failure: Failure | undefined, type: FailureType, message: RegExp): void {
  expect(failure).toMatchObject({
    type,
    nonRetryable: !failures[type].retryable,
    message: expect.stringMatching(message) as string,
    report: { ...anyReport, reason: failure?.message },
  });
}
