import type { CellOutcome } from '../client/describe.ts';
import type { UserErrorCode } from '../domain/user-error.ts';

/** What the exit status of `cells` says; docs/cli.md lists the same. */
export const exitCodes = {
  /** Done; of a cell: committed. */
  ok: 0,
  /** An error that should not be: please report it. Of `doctor`: it found a problem. */
  error: 1,
  /** Wrong usage, an invalid request, or an invalid setting. */
  usage: 2,
  /** The work was reverted: its tests failed, or an operator said so. */
  reverted: 3,
  /** The agent changed nothing. */
  unchanged: 4,
  /** The cell ended without a verdict. */
  failed: 5,
  /** The Temporal server cannot be reached, or refuses. */
  unreachable: 6,
  /** The cell was cancelled or its workflow terminated. */
  cancelled: 7,
  /** Ctrl-C, or a polite signal to end. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code that tells how a cell ended. */
export function exitCodeOf(outcome: CellOutcome): ExitCode {
  if (outcome.kind === 'failure') {
    const { type } = outcome.failure;
    return type === 'Cancelled' || type === 'Terminated' ? exitCodes.cancelled : exitCodes.failed;
  }
  switch (outcome.result.status) {
    case 'committed':
      return exitCodes.ok;
    case 'reverted':
      return exitCodes.reverted;
    case 'unchanged':
      return exitCodes.unchanged;
  }
}

/** Of many cells the worst decides: without a verdict, cancelled, reverted, unchanged, committed. */
export function worstOf(codes: readonly ExitCode[]): ExitCode {
  const worstFirst = [exitCodes.failed, exitCodes.cancelled, exitCodes.reverted, exitCodes.unchanged];
  return worstFirst.find((code) => codes.includes(code)) ?? exitCodes.ok;
}

/** The exit code of an error that a person can mend. */
export function exitCodeOfError(code: UserErrorCode): ExitCode {
  switch (code) {
    case 'TemporalUnreachable':
    case 'TemporalRefused':
      return exitCodes.unreachable;
    case 'InvalidConfiguration':
    case 'InvalidTemplates':
    case 'InvalidCellRequest':
    case 'InvalidInput':
    case 'CellAlreadyRunning':
    case 'CellNotFound':
    case 'TooManyStarts':
    case 'NotOnThisHost':
      return exitCodes.usage;
  }
}
