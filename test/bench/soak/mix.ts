import type { CellRequest } from '../../../src/client.ts';

/** One cell of every round, and how it must end. */
export interface MixedCell {
  /** In `test/fixtures/scripts/suite.yaml`. */
  script: string;
  request: Partial<CellRequest>;
  /** A status, or the type of a failure. */
  verdict: string;
  /** Messages of the user that the agent gets. */
  prompts: number;
}

const answers = { testCommand: 'grep -q right answer.txt' };

/** Verdicts of every kind, and agents that leave something to clean up. */
export const mix: readonly MixedCell[] = [
  { script: 'edit-file', request: answers, verdict: 'committed', prompts: 1 },
  { script: 'edit-other', request: { testCommand: 'grep -q right other.txt' }, verdict: 'committed', prompts: 1 },
  { script: 'repair', request: answers, verdict: 'committed', prompts: 2 },
  { script: 'never-green', request: answers, verdict: 'reverted', prompts: 2 },
  { script: 'unchanged', request: {}, verdict: 'unchanged', prompts: 1 },
  { script: 'daemon', request: {}, verdict: 'committed', prompts: 1 },
  { script: 'edits-endlessly', request: { tokenBudget: 15_000 }, verdict: 'TokenBudgetExceeded', prompts: 1 },
  { script: 'unauthorized', request: {}, verdict: 'ModelUnavailable', prompts: 1 },
];
