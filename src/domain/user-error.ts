/** What went wrong, for programs: a stable name. */
export type UserErrorCode =
  | 'InvalidConfiguration'
  | 'InvalidTemplates'
  | 'InvalidCellRequest'
  | 'InvalidInput'
  | 'TemporalUnreachable'
  | 'TemporalRefused'
  | 'CellAlreadyRunning'
  | 'CellNotFound'
  | 'TooManyStarts'
  | 'NotOnThisHost';

/**
 * A fault that a person can mend: printed without a stack.
 * The message says what is wrong and why; `try` says what to do about it.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly code: UserErrorCode;
  readonly try: string | null;

  constructor(code: UserErrorCode, message: string, options: { try?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.try = options.try ?? null;
  }
}
