import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { FailureType } from '../src/domain/failures.ts';
import type { ClosedCellDetail, FailedExecuteDetail } from './contract.ts';

/**
 * A failure with one of the stable names. Expected failures are benign: they stay out of the SDK's error logs and metrics.
 * Whether a step is tried again is decided by the workflow's retry policy, by name.
 */
export function failure(type: FailureType, message: string, known: Known = {}): ApplicationFailure {
  const { cause, detail } = known;
  return ApplicationFailure.create({
    type,
    message,
    category: ApplicationFailureCategory.BENIGN,
    ...(detail ? { details: [detail] } : {}),
    ...(cause instanceof Error ? { cause } : {}),
  });
}

interface Known {
  cause?: unknown;
  /** What cannot be read from the cell any more. */
  detail?: FailedExecuteDetail | ClosedCellDetail;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
