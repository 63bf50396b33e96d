import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import waitFor from 'p-wait-for';
import { expect } from 'vitest';
import { mayFollow } from '../../src/domain/lifecycle.ts';
import type { CellState } from '../../src/domain/outcome.ts';
import { searchAttributes } from '../../src/domain/search-attributes.ts';
import type { Fleet } from './fleet.ts';

/** The cell that is talked to. */
type Cell = { workflowId: string };

/** Talks to cells by nothing but the names of the contract, as another language would. */
export function talkIn({ client }: Fleet) {
  const handleOf = ({ workflowId }: Cell) => client.workflow.getHandle(workflowId);

  const stateOf = (cell: Cell): Promise<CellState> => handleOf(cell).query('state');

  const update = <Answer>(cell: Cell, name: string, input: unknown): Promise<Answer> =>
    handleOf(cell).executeUpdate<Answer, [unknown]>(name, { args: [input] });

  return {
    handleOf,
    stateOf,
    update,

    async until(cell: Cell, condition: (state: CellState) => boolean): Promise<void> {
      await waitFor(async () => condition(await stateOf(cell)), { interval: 50, timeout: 180_000 });
    },

    /** The failure with which an update was refused; an error when it was not. */
    async refusalOf(cell: Cell, name: string, input: unknown): Promise<ApplicationFailure> {
      const error: unknown = await update(cell, name, input).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) return error.cause;
      throw new Error(`${name} was not refused`, { cause: error });
    },

    /** The search attributes of ours that a cell has. */
    async attributesOf(cell: Cell): Promise<Record<string, unknown>> {
      const { typedSearchAttributes } = await handleOf(cell).describe();
      const pairs = Object.values(searchAttributes).map((key) => [key.name, typedSearchAttributes.get(key)] as const);
      return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
    },

    /** Of a cell that has ended. */
    async expectAllowedHistory(cell: Cell): Promise<void> {
      const { history } = await stateOf(cell);
      expect(history[0]).toMatchObject({ lifecycle: 'created', step: 'queue' });
      expect(history.at(-1)?.lifecycle).toBe('terminated');
      history.slice(1).forEach(({ lifecycle, at }, index) => {
        const before = history[index];
        expect(before && mayFollow(before.lifecycle, lifecycle)).toBe(true);
        expect(at).toBeGreaterThanOrEqual(before?.at ?? 0);
      });
    },
  };
}
