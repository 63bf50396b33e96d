import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { isFailureType, type FailureType } from '../domain/failures.ts';
import type { CellReport } from '../domain/outcome.ts';

/** Why there is no verdict: one of the contract's failures, or what an operator did to the workflow. */
export type CellFailureType = FailureType | 'Cancelled' | 'Terminated' | 'WorkflowFailed';

/** A cell that ended without a verdict. */
export class CellFailure extends Error {
  override readonly name = 'CellFailure';
  readonly type: CellFailureType;
  /** What is known of the cell; null when it ended before anything was. */
  readonly report: CellReport | null;

  constructor(type: CellFailureType, message: string, report: CellReport | null, cause: unknown) {
    super(message, { cause });
    this.type = type;
    this.report = report;
  }
}

/** The failure that an error of `result()` stands for; null when it is another kind of error, such as a lost connection. */
export function cellFailureOf(error: unknown): CellFailure | null {
  if (!(error instanceof WorkflowFailedError)) return null;
  const { cause } = error;
  if (cause instanceof CancelledFailure) return new CellFailure('Cancelled', 'the cell was cancelled', null, error);
  if (cause instanceof TerminatedFailure) {
    return new CellFailure(
      'Terminated',
      'the workflow was terminated: no cleanup ran, the reaper of the host does it',
      null,
      error,
    );
  }
  if (cause instanceof ApplicationFailure && isFailureType(cause.type)) {
    return new CellFailure(cause.type, cause.message, reportIn(cause.details), error);
  }
  return new CellFailure('WorkflowFailed', cause?.message ?? error.message, null, error);
}

function reportIn(details: readonly unknown[] | undefined | null): CellReport | null {
  const first = details?.[0];
  // A report is told from the short detail of a refused request by its metrics; the workflow wrote it from this very type.
  return typeof first === 'object' && first !== null && 'metrics' in first ? (first as CellReport) : null;
}
