import { CellGone } from '../src/cell/open-cell.ts';
import { DiskSpent } from '../src/cell/within-disk.ts';
import type { FailureType } from '../src/domain/failures.ts';
import { CommitRefused, UnfitWorktree, WorktreeGone } from '../src/git/errors.ts';
import { AnswerTooLarge } from '../src/opencode/bounded-answer.ts';
import { failure, messageOf } from './failure.ts';

/** Gives what a step on a spawned cell threw its stable name. What has none stays as it is, and is tried again. */
export function stepFailure(error: unknown, unfit: FailureType): never {
  if (error instanceof CellGone || error instanceof WorktreeGone)
    throw failure('CellLost', messageOf(error), { cause: error });
  if (error instanceof DiskSpent || error instanceof AnswerTooLarge)
    throw failure('AgentFailed', error.message, { cause: error });
  if (error instanceof UnfitWorktree) throw failure(unfit, error.message, { cause: error });
  if (error instanceof CommitRefused) throw failure('CommitFailed', error.message, { cause: error });
  throw error;
}
