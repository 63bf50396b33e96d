/**
 * Every way through the workflow of which a history is kept in `histories/<path>.json`, and how it closes: the status of the
 * result, the type of the failure, or `cancelled`.
 */
export const paths = {
  'committed-without-tests': 'committed',
  'committed-with-tests': 'committed',
  'repaired-then-committed': 'committed',
  extended: 'committed',
  prompted: 'committed',
  'hung-then-recycled': 'committed',
  reverted: 'reverted',
  aborted: 'reverted',
  unchanged: 'unchanged',
  'cancelled-during-execute': 'cancelled',
  'budget-exceeded': 'TokenBudgetExceeded',
  'timed-out': 'CellTimedOut',
  'model-unavailable': 'ModelUnavailable',
  'queue-timed-out': 'QueueTimedOut',
  'spawn-failed': 'SpawnFailed',
  'invalid-request': 'InvalidCellRequest',
} as const satisfies Record<string, string>;

export type Path = keyof typeof paths;

// `Object.keys` of a constant object answers exactly its keys.
export const pathNames = Object.keys(paths) as Path[];
