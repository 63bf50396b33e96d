/** What a failure means: whether a caller's retry policy may try again, in words, and what to do. */
export interface FailureMeaning {
  readonly retryable: boolean;
  readonly means: string;
  readonly try: string;
}

/** Every way in which a cell can end without a verdict. The names are public: `ApplicationFailure.type`. */
export const failures = {
  InvalidCellRequest: {
    retryable: false,
    means:
      'the request names a field that does not exist, leaves out a required one, or has a value that is not allowed',
    try: 'correct the field that the message names',
  },
  RepositoryError: {
    retryable: false,
    means: 'the repository or its branch is missing, empty, broken, or not one that this worker may work on',
    try: 'check `repository` and `branch`, and the CELLS_REPOSITORIES setting of the worker',
  },
  SpawnFailed: {
    retryable: true,
    means: 'the cell could not be made: no free port, no disk, or a server that never became healthy',
    try: 'run `cells doctor` on the host, and look at the server log among the artifacts of the cell',
  },
  AgentFailed: {
    retryable: true,
    means: 'the agent ended with an error, fell silent, or stopped before it had finished',
    try: 'read the transcript among the artifacts of the cell',
  },
  ModelUnavailable: {
    retryable: true,
    means:
      'the provider of the model refused or failed every request: credentials, rate limit, an unknown model, or an outage',
    try: 'check the model name and the credentials of the provider, then start the cell again',
  },
  TokenBudgetExceeded: {
    retryable: false,
    means: 'the agent used its whole token budget before it had finished',
    try: 'raise `tokenBudget`, or make the task smaller; the work so far is kept under `revertedRef`',
  },
  CellTimedOut: {
    retryable: true,
    means: 'the cell reached its `timeout` before a verdict',
    try: 'raise `timeout`, or use the `extend` update while the cell runs; the work so far is kept under `revertedRef`',
  },
  QueueTimedOut: {
    retryable: true,
    means: 'no host had room for the cell within `queueTimeout`',
    try: 'add a host, raise CELLS_CAPACITY, or check with `cells doctor` that a worker runs',
  },
  CellLost: {
    retryable: true,
    means: 'what the cell consisted of is gone: its host, its server, its worktree, or its lease',
    try: 'start the cell again; `cells doctor` on the host says whether the host is well',
  },
  CommitFailed: {
    retryable: true,
    means: 'the tested work could not be written to the branch of the cell',
    try: 'check that the repository is writable and that nobody holds a lock on the branch; the work is kept under `revertedRef` where that was possible',
  },
} as const satisfies Record<string, FailureMeaning>;

/** The stable name of a failure. */
export type FailureType = keyof typeof failures;

/** Whether a string is the name of one of our failures. */
export function isFailureType(name: string | null | undefined): name is FailureType {
  return name !== null && name !== undefined && Object.hasOwn(failures, name);
}
