import pc from 'picocolors';
import { describe, expect, test } from 'vitest';
import { outcomeJson, renderOutcome } from '../../../src/cli/outcome.ts';
import { listTable, outcomeTable } from '../../../src/cli/table.ts';
import { CellFailure, type CellOutcome } from '../../../src/client.ts';
import { resultOf } from '../../support/results.ts';

const colors = pc.createColors(false);
const committed: CellOutcome = { kind: 'verdict', result: resultOf() };
const {
  status: _,
  branch: _branch,
  commit: _commit,
  ...report
} = resultOf({ reason: 'too many tokens', revertedRef: 'refs/cells/reverted/c' });
const failed: CellOutcome = {
  kind: 'failure',
  failure: new CellFailure('TokenBudgetExceeded', 'too many tokens', report, null),
};
const unknown: CellOutcome = {
  kind: 'failure',
  failure: new CellFailure('Cancelled', 'the cell was cancelled', null, null),
};

describe('how a cell ended', () => {
  test('is told to a person', () => {
    expect(renderOutcome('fix-login/a1', committed, colors)).toMatchInlineSnapshot(`
      "committed  fix-login/a1 in 24s
        reason    the tests passed
        branch    cells/fix-login/a1 at cccccccccccccccccccccccccccccccccccccccc
        file      M src/login.ts +3 -1
        tests     passed (2 rounds) in 1.2s
        tokens    1,234, $0.0123
        summary   Fixed the login.
        cell      0123456789abcdef on host-1 (process)"
    `);
  });

  test('comes with what to do when there is no verdict', () => {
    const text = renderOutcome('fix-login/a1', failed, colors);
    expect(text).toContain('TokenBudgetExceeded  fix-login/a1');
    expect(text).toContain('raise `tokenBudget`');
    expect(text).toContain('refs/cells/reverted/c');
  });

  test('shows the end of the output of failed tests, without what a terminal would obey', () => {
    const tests = {
      outcome: 'failed',
      exitCode: 1,
      durationMs: 5,
      rounds: 1,
      outputTail: 'one\n\u001b]0;owned\u0007two\n',
    } as const;
    const text = renderOutcome('t/a', { kind: 'verdict', result: resultOf({ status: 'reverted', tests }) }, colors);
    expect(text).toContain('    one\n    ]0;ownedtwo');
  });

  test('says how much more was modified and undone than it names', () => {
    const paths = Array.from({ length: 30 }, (_, index) => `f${index}`);
    const result = resultOf({
      filesModified: paths.map((path) => ({ path, change: 'added', additions: 1, deletions: 0 })),
      filesLeftOut: 500,
      protectedPathsTouched: paths,
      protectedPathsLeftOut: 70,
    });
    const outcome: CellOutcome = { kind: 'verdict', result };
    const text = renderOutcome('t/a', outcome, colors);
    expect(text).toContain('and 510 more files');
    expect(text).toContain('f19, and 80 more (protected)');
  });

  test('names files without what a terminal would obey', () => {
    const touched = { protectedPathsTouched: ['test/a.ts', '\u001b]0;owned\u0007.test.ts'] };
    const text = renderOutcome('t/a', { kind: 'verdict', result: resultOf(touched) }, colors);
    expect(text).toContain('undone    test/a.ts, ]0;owned .test.ts (protected)');
  });

  test('is the result itself for a program', () => {
    expect(outcomeJson(committed)).toEqual(resultOf());
  });

  test('is a status beside the failure and the report for a program, when there is no verdict', () => {
    expect(outcomeJson(failed)).toMatchObject({
      status: 'failed',
      failure: { type: 'TokenBudgetExceeded' },
      taskId: 'fix-login',
    });
    expect(outcomeJson(unknown)).toEqual({
      status: 'cancelled',
      failure: { type: 'Cancelled', message: 'the cell was cancelled' },
    });
  });

  test('is a row of a table', () => {
    const table = outcomeTable(
      [
        { name: 'fix-login/a1', outcome: committed },
        { name: 'fix-login/a2', outcome: unknown },
      ],
      colors,
    );
    expect(table).toMatchInlineSnapshot(`
      "cell          status     commit      files         tests              tokens  queue  spawn  agent  test  total
      fix-login/a1  committed  cccccccccc  src/login.ts  passed (2 rounds)  1,234   10ms   3s     20s    1.2s  24s
      fix-login/a2  Cancelled  –           –             –                  –       –      –      –      –     –"
    `);
  });
});

test('the list of cells names the failure of those that have one', () => {
  const cell = {
    workflowId: 'cell/t/a',
    runId: 'r',
    status: 'failed',
    failure: 'CellLost',
    taskId: 't',
    agentId: 'a',
    agentType: 'worker',
    lifecycle: 'terminated',
    step: 'teardown',
    host: 'h1',
    repository: null,
    tokens: 12,
    startedAt: 0,
    closedAt: 5000,
  } as const;
  expect(listTable([cell], colors, 60_000)).toMatchInlineSnapshot(`
    "cell  status    lifecycle   step      host  tokens  age  time
    t/a   CellLost  terminated  teardown  h1    12      1m   5s"
  `);
});
