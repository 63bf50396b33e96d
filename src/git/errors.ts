/** The repository or its branch cannot be worked on: missing, empty, not allowed, not a repository. Trying again does not help. */
export class RepositoryError extends Error {
  override readonly name = 'RepositoryError';
}

/** The repository is not one that this worker may work on. */
export class RepositoryNotAllowed extends RepositoryError {}

/** The worktree of a cell, or what ties it to its repository, is no longer there. */
export class WorktreeGone extends Error {
  override readonly name = 'WorktreeGone';
}

/** What the agent left in its worktree cannot become part of the cell's commit, and is not left out without a word. */
export class UnfitWorktree extends Error {
  override readonly name: string = 'UnfitWorktree';
}

/** The agent left a repository inside its worktree. */
export class NestedRepository extends UnfitWorktree {
  override readonly name = 'NestedRepository';
}

/**
 * The branch of the cell was not written. Possible reasons: it is checked out, it was moved meanwhile,
 * its name collides with another branch, or a lock file is in the way.
 */
export class CommitRefused extends Error {
  override readonly name = 'CommitRefused';
}
