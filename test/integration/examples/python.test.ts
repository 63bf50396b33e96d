import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CellRequest } from '../../../src/client.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { pythonWith } from '../../support/python.ts';

const example = (name: string) => fileURLToPath(new URL(`../../../examples/python/${name}`, import.meta.url));

describe('a program in Python, with Temporal’s SDK and the contract', () => {
  let python: string;
  let fleet: Fleet;

  beforeAll(async () => {
    // The first time the packages are fetched.
    python = await pythonWith(example('requirements.txt'));
    fleet = await startFleet();
  }, 600_000);

  afterAll(() => fleet?.[Symbol.asyncDispose]());

  const startCell = (request: Partial<CellRequest> & { tokenBudgett?: number }) =>
    execa(python, [example('start_cell.py'), '-'], {
      env: fleet.env,
      extendEnv: false,
      input: JSON.stringify({ taskId: 'python', ...request }),
      reject: false,
      all: true,
    });

  test('starts a cell, sees its state while it runs, and reads its result', async () => {
    const { exitCode, all } = await startCell({
      agentId: 'a1',
      prompt: 'Do it. [script: a-few-seconds]',
      testCommand: 'grep -q right answer.txt',
    });
    const commit = await fleet.repository.git('rev-parse', 'cells/python/a1');
    const lines = all.split('\n');
    expect(lines[0]).toBe('started cell/python/a1');
    expect(lines).toContainEqual(expect.stringMatching(/^initialising\/spawn: 0 of 50000 tokens$/));
    expect(lines).toContainEqual(expect.stringMatching(/^processing\/execute: \d+ of 50000 tokens$/));
    expect(lines.slice(-3)).toEqual([
      'committed: the tests passed',
      '  added answer.txt',
      `  cells/python/a1 at ${commit}`,
    ]);
    expect(exitCode).toBe(0);
  });

  test('tells failures apart by their type, and finds what is known in the first detail', async () => {
    const [overspent, refused] = await Promise.all([
      startCell({ agentId: 'a2', prompt: 'Do it. [script: edits-endlessly]', tokenBudget: 15_000 }),
      // A misspelt name, which no type of ours could have let through.
      startCell({ agentId: 'a3', prompt: 'Do it.', tokenBudgett: 4_000 }),
    ]);
    expect(overspent.stderr).toMatch(
      /^TokenBudgetExceeded: the agent used \d+ tokens.*kept as refs\/cells\/reverted\/[0-9a-f]+\)$/,
    );
    expect(refused.stderr).toMatch(/^InvalidCellRequest: tokenBudgett .*\(correct the request\)$/);
    expect([overspent.exitCode, refused.exitCode]).toEqual([1, 1]);
  });
});
