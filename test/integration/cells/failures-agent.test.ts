import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { CellRequest } from '../../../src/client.ts';
import { failures, type FailureType } from '../../../src/domain/failures.ts';
import { anyReport, type Failure, failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Its agents take longer over things than the default ones. */
const messages = fileURLToPath(new URL('../../fixtures/scripts/messages.yaml', import.meta.url));

describe('an agent that reaches no verdict', () => {
  test('fails its cell with what a person needs to know, and its work is kept', { timeout: 240_000 }, async () => {
    await using fleet = await startFleet();
    const passes = 'grep -q right answer.txt';
    const [cutShort, refused, key, unknownModel, noProvider, garbage] = await provoke(fleet, [
      ['length'],
      // The script has one round: what follows the failing test is answered with HTTP 400.
      ['edit-file', { agentId: 'refused', testCommand: `! ${passes}` }],
      ['unauthorized'],
      ['edit-file', { agentId: 'unknown-model', model: 'scripted/nothing' }],
      ['edit-file', { agentId: 'no-provider', model: 'nobody/nothing' }],
      ['garbage'],
    ]);

    expectFailure(cutShort, 'AgentFailed', /output limit/);
    expect(cutShort?.report.tokens).toMatchObject({ input: 1000, output: 8192, total: 9192 });
    expectFailure(refused, 'AgentFailed', /HTTP 400/);
    expect(refused?.report).toMatchObject({
      tokens: { input: 1400, output: 100, cacheRead: 1200, total: 2700 },
      tests: { outcome: 'failed', exitCode: 1, rounds: 1 },
      filesModified: [{ path: 'answer.txt', change: 'added', additions: 1, deletions: 0 }],
    });
    expect(await showReverted(fleet, refused, 'answer.txt')).toBe('right');
    expectFailure(key, 'ModelUnavailable', /Incorrect API key provided.*401/);
    expectFailure(unknownModel, 'ModelUnavailable', /scripted\/nothing|Model not found/);
    expectFailure(noProvider, 'InvalidCellRequest', /the address of the provider nobody is not known/);
    expectFailure(garbage, 'ModelUnavailable', /JSON|parse/i);
    for (const failure of [key, unknownModel, noProvider, garbage]) {
      expect(failure?.report).toMatchObject({ filesModified: [] });
      // An answer that is none has a price all the same: what it used is estimated.
      if (failure === garbage) expect(failure?.report.tokens.total).toBeGreaterThan(1000);
      else expect(failure?.report.tokens.total).toBe(0);
      expect(failure?.report).not.toHaveProperty('revertedRef');
    }
    await nothingLeft(fleet);
  });

  test(
    'is stopped at its token budget, within one answer of it, and its work is kept',
    { timeout: 240_000 },
    async () => {
      await using fleet = await startFleet();
      const [endless, edits, none] = await provoke(fleet, [
        ['endless', { tokenBudget: 22_000 }],
        ['edits-endlessly', { tokenBudget: 20_000 }],
        ['endless', { agentId: 'no-answer', tokenBudget: 1 }],
      ]);

      expectFailure(endless, 'TokenBudgetExceeded', /used \d+ tokens; its budget is 22000/);
      expect(endless?.report).not.toHaveProperty('revertedRef');
      expectFailure(edits, 'TokenBudgetExceeded', /used \d+ tokens; its budget is 20000/);
      expect(await showReverted(fleet, edits, 'answer.txt')).toBe('half');
      // Before the first answer a request is only estimated, and OpenCode's is long.
      expectFailure(none, 'TokenBudgetExceeded', /used 0 tokens; its budget is 1, which has no room/);
      for (const [failure, budget] of [
        [endless, 22_000],
        [edits, 20_000],
      ] as const) {
        const total = failure?.report.tokens.total ?? 0;
        expect(Math.abs(total - budget)).toBeLessThanOrEqual(1100);
        expect(total % 1050).toBe(0);
        expect(failure?.report.tokens.input).toBe((total / 1050) * 1000);
        expect(failure?.report.cost).toBeCloseTo((total / 1050) * (0.001 + 0.0002), 6);
      }
      await nothingLeft(fleet);
    },
  );

  test('is ended at its timeout, and its work is kept', { timeout: 240_000 }, async () => {
    await using fleet = await startFleet({ scripts: messages });
    const timeout = '80s';
    const [slow, command, tests] = await provoke(fleet, [
      ['waits', { timeout }],
      ['long-command', { timeout }],
      ['edit-file', { timeout, testCommand: 'sleep 600' }],
    ]);
    expectFailure(slow, 'CellTimedOut', /reached its timeout during execute/);
    expect(await showReverted(fleet, slow, 'answer.txt')).toBe('right');
    // The request that was cut off is estimated.
    const used = slow?.report.tokens.total ?? 0;
    expect(used).toBeGreaterThan(1050);
    expect(used).toBeLessThan(2 * 1100);
    expectFailure(command, 'CellTimedOut', /reached its timeout during execute/);
    expectFailure(tests, 'CellTimedOut', /reached its timeout during test/);
    expect(await showReverted(fleet, tests, 'answer.txt')).toBe('right');
    for (const failure of [slow, command, tests]) {
      const { spawnMs = 0, executionMs = 0, testMs = 0 } = failure?.report.metrics ?? {};
      expect(spawnMs + executionMs + testMs).toBeGreaterThanOrEqual(80_000 - 100);
    }
    await nothingLeft(fleet);
  });
});

describe('work that passed its tests', () => {
  test('and cannot be committed is kept, and what is in the way is named', { timeout: 240_000 }, async () => {
    await using elsewhere = await temporaryDirectory();
    await using fleet = await startFleet();
    const { git } = fleet.repository;
    await git('branch', 'cells/task/checked-out');
    await git('worktree', 'add', '--quiet', join(elsewhere.path, 'theirs'), 'cells/task/checked-out');
    await git('branch', 'cells/collides');
    const [checkedOut, collides, nested] = await provoke(fleet, [
      ['edit-file', { agentId: 'checked-out', testCommand: 'true' }],
      ['edit-file', { agentId: 'collides', taskId: 'collides' }],
      ['nested-repository', { testCommand: 'true' }],
    ]);

    expectFailure(checkedOut, 'CommitFailed', /cells\/task\/checked-out is checked out in .*theirs/);
    expect(await showReverted(fleet, checkedOut, 'answer.txt')).toBe('right');
    expect(await git('rev-parse', 'cells/task/checked-out')).toBe(fleet.repository.commit);
    expectFailure(collides, 'CommitFailed', /refs\/heads\/cells\/collides exists.*rename that branch/);
    expect(await showReverted(fleet, collides, 'answer.txt')).toBe('right');
    expectFailure(nested, 'CommitFailed', /repository inside its worktree \(sub\)/);
    expect(nested?.report).not.toHaveProperty('revertedRef');
    const copy = join(fleet.stateDirectory, 'artifacts', nested?.report.cellId ?? '', 'worktree/sub/x');
    expect((await execa('cat', [copy])).stdout).toBe('x');

    await git('worktree', 'remove', join(elsewhere.path, 'theirs'));
    await nothingLeft(fleet);
  });
});

/** Starts cells at once and waits until all of them have failed. */
async function provoke(fleet: Fleet, cells: [script: string, request?: Partial<CellRequest>][]): Promise<Failure[]> {
  return await Promise.all(
    cells.map(async ([script, request]) => failureOf(fleet.client, await fleet.start(script, request))),
  );
}

function expectFailure(failure: Failure | undefined, type: FailureType, message: RegExp): void {
  expect(failure).toMatchObject({
    type,
    nonRetryable: !failures[type].retryable,
    message: expect.stringMatching(message) as string,
    report: { ...anyReport, taskId: expect.any(String) as string, reason: failure?.message },
  });
  const { totalMs, ...parts } = failure?.report.metrics ?? { totalMs: 0 };
  expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBe(totalMs);
}

async function showReverted({ repository }: Fleet, failure: Failure | undefined, file: string): Promise<string> {
  const { revertedRef = '', cellId } = failure?.report ?? {};
  expect(revertedRef).toBe(`refs/cells/reverted/${cellId}`);
  return await repository.git('show', `${revertedRef}:${file}`);
}
