import { join } from 'node:path';
import { addWorktree } from '../../../src/git/worktree.ts';
import { snapshotTree, type Snapshot } from '../../../src/git/tree.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { temporaryRepository, type TemporaryRepository } from '../../support/temporary-repository.ts';

/** A fixed date, so that ids of commits can be compared. */
export const date = Date.UTC(2026, 0, 1);

export interface Cell extends AsyncDisposable {
  repository: TemporaryRepository;
  gitDirectory: string;
  baseCommit: string;
  cellId: string;
  worktree: string;
  /** A directory of the cell outside its worktree. */
  directory: string;
  snapshot(protectedPaths?: string[], mostBytes?: number): Promise<Snapshot>;
}

/** A repository with the files, and a worktree of it. */
export async function cellWith(files?: Record<string, string>): Promise<Cell> {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(await temporaryRepository(files));
  const cell = await cellIn(repository, stack.use(await temporaryDirectory()).path);
  const owned = stack.move();
  return { ...cell, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A worktree of a repository that the test has prepared. */
export async function cellIn(
  repository: TemporaryRepository,
  directory: string,
  cellId = 'cell1',
  gitDirectory = join(repository.path, '.git'),
): Promise<Omit<Cell, typeof Symbol.asyncDispose>> {
  const baseCommit = await repository.git('rev-parse', 'HEAD');
  const worktree = join(directory, 'worktrees', cellId);
  await addWorktree({ gitDirectory, path: worktree, commit: baseCommit });
  const indexFile = join(directory, `${cellId}.index`);
  const snapshot = (protectedPaths: string[] = [], mostBytes?: number) =>
    snapshotTree({
      gitDirectory,
      worktree,
      baseCommit,
      indexFile,
      protectedPaths,
      ...(mostBytes === undefined ? {} : { mostBytes }),
    });
  return { repository, gitDirectory, baseCommit, cellId, worktree, directory, snapshot };
}
