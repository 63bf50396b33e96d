import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { cellFailureOf } from '../../../src/client/failure.ts';
import { resultOf } from '../../support/results.ts';

const failed = (cause: Error) => new WorkflowFailedError('Workflow execution failed', cause, 'NON_RETRYABLE_FAILURE');

describe('a cell without a verdict', () => {
  test('has the type and the report of its failure', () => {
    const { status: _, ...report } = resultOf();
    const failure = cellFailureOf(
      failed(ApplicationFailure.create({ type: 'CellTimedOut', message: 'too late', details: [report] })),
    );
    expect(failure).toMatchObject({ type: 'CellTimedOut', message: 'too late', report });
  });

  test('may have no report', () => {
    const cause = ApplicationFailure.create({
      type: 'InvalidCellRequest',
      message: 'prompt is required',
      details: [{ field: 'prompt' }],
    });
    expect(cellFailureOf(failed(cause))).toMatchObject({ type: 'InvalidCellRequest', report: null });
  });

  test('may have been cancelled or terminated', () => {
    expect(cellFailureOf(failed(new CancelledFailure('Workflow canceled')))?.type).toBe('Cancelled');
    expect(cellFailureOf(failed(new TerminatedFailure('by hand')))?.type).toBe('Terminated');
  });

  test('may have failed in a way that the contract does not know', () => {
    const failure = cellFailureOf(failed(ApplicationFailure.create({ type: 'TypeError', message: 'a bug' })));
    expect(failure).toMatchObject({ type: 'WorkflowFailed', message: 'a bug' });
  });
});

test('an error that says nothing of the cell is no failure of it', () => {
  expect(cellFailureOf(new Error('connection lost'))).toBeNull();
});
