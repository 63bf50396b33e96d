import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { exitCodeOf, exitCodes, worstOf } from '../../../src/cli/exit-codes.ts';
import { CellFailure } from '../../../src/client.ts';
import { resultOf } from '../../support/results.ts';

describe('the exit code of a cell', () => {
  test.for([
    ['committed', 0],
    ['reverted', 3],
    ['unchanged', 4],
  ] as const)('that is %s is %i', ([status, code]) => {
    expect(exitCodeOf({ kind: 'verdict', result: resultOf({ status }) })).toBe(code);
  });

  test.for([
    ['AgentFailed', 5],
    ['TokenBudgetExceeded', 5],
    ['WorkflowFailed', 5],
    ['Cancelled', 7],
    ['Terminated', 7],
  ] as const)('that ended by %s is %i', ([type, code]) => {
    expect(exitCodeOf({ kind: 'failure', failure: new CellFailure(type, 'why', null, null) })).toBe(code);
  });

  test('that is the worst decides for many', () => {
    expect(worstOf([0, 4, 3, 7, 5])).toBe(5);
    expect(worstOf([0, 4, 3])).toBe(3);
    expect(worstOf([0, 0])).toBe(0);
    expect(worstOf([])).toBe(0);
  });
});

test('docs/cli.md explains every exit code, and no other', async () => {
  const text = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  const documented = [...text.matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
  expect(documented).toEqual(Object.values(exitCodes));
});
