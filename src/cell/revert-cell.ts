import { lstat, rename } from 'node:fs/promises';
import type { RevertInput, RevertReport } from '../../activities/contract.ts';
import { namedFiles } from '../domain/named-paths.ts';
import { revertedRefOf } from '../domain/names.ts';
import { fileChanges, writeDiff } from '../git/changes.ts';
import { UnfitWorktree } from '../git/errors.ts';
import { GitFailed } from '../git/git.ts';
import { findRef } from '../git/refs.ts';
import { keepReverted, restoreWorktree, treeOf } from '../git/revert.ts';
import { snapshotTree } from '../git/tree.ts';
import { copyWork, maximumBytes } from './copy-work.ts';
import { raiseFence } from './fence.ts';
import { endProcesses } from './end-processes.ts';
import type { CellHost } from './host.ts';
import { type OpenCell, findCell } from './open-cell.ts';
import { cellPaths } from './paths.ts';
import { exceedsDisk } from './within-disk.ts';

type Kept = Omit<RevertReport, 'usage'>;

/**
 * Ends the agent, keeps what it made under `refs/cells/reverted/<cellId>`, and makes the worktree its base again,
 * which is checked. A second run finds the ref of the first, or its copy.
 */
export async function revertCell(host: CellHost, { cellId, reason }: RevertInput): Promise<RevertReport> {
  const cell = await findCell(host, cellId);
  // The work is over: an agent that still writes would make the check below fail, and might fill the disk that the fence is to be written to.
  await endProcesses(host, cell.lease);
  const stillOurs = await raiseFence(host, cellId);
  const kept = await keep(host, cell, reason)
    .catch((error: unknown) => {
      if (error instanceof GitFailed) return keep(host, cell, reason);
      throw error;
    })
    .catch((error: unknown) => keepAside(host, cell, error));
  await stillOurs();
  await restoreWorktree(cell);
  return { ...kept, usage: cell.lease.usage };
}

async function keep(host: CellHost, cell: OpenCell, reason: string): Promise<Kept> {
  const { gitDirectory, baseCommit, lease } = cell;
  const paths = cellPaths(host.stateDirectory, lease.cellId);
  const earlier = await findRef(gitDirectory, revertedRefOf(lease.cellId));
  if (earlier)
    return {
      revertedRef: revertedRefOf(lease.cellId),
      ...namedFiles(await fileChanges(gitDirectory, baseCommit, earlier)),
    };
  // The same holds for a copy: a run that was killed has removed a part of the worktree, and what is left is not the work.
  if (await isThere(paths.worktreeCopy)) return keptAsFiles;
  // The repository would keep for good what a cell filled the disk with.
  const bound = (await exceedsDisk(host, lease.cellId)) ? { mostBytes: maximumBytes } : {};
  const { tree } = await snapshotTree({ ...cell, indexFile: paths.index, protectedPaths: [], ...bound });
  if (tree === (await treeOf(gitDirectory, baseCommit))) return { revertedRef: null, filesModified: [] };
  await writeDiff(gitDirectory, baseCommit, tree, paths.diff);
  const { ref } = await keepReverted({
    gitDirectory,
    tree,
    baseCommit,
    cellId: lease.cellId,
    message: `Reverted work of ${lease.owner.taskId}/${lease.owner.agentId}\n\n${reason}\n`,
    date: lease.createdAt,
  });
  return { revertedRef: ref, ...namedFiles(await fileChanges(gitDirectory, baseCommit, tree)) };
}

const keptAsFiles: Kept = { revertedRef: null, filesModified: [] };

/**
 * git cannot keep a repository inside a repository, say, and is not given gigabytes of a cell that took too much: then the files themselves are kept among the artifacts.
 * So they are when git failed, twice and nobody knows why, unless the copy lacks something as well: it may be the disk, and pass. Such a copy has
 * another name: by its own the next run would take it for the work, and remove what it lacks.
 */
async function keepAside(host: CellHost, cell: OpenCell, error: unknown): Promise<Kept> {
  if (!(error instanceof UnfitWorktree || error instanceof GitFailed)) throw error;
  const { worktreeCopy, incompleteCopy } = cellPaths(host.stateDirectory, cell.lease.cellId);
  // git may have failed before anybody looked for the copy of an earlier run.
  if (await isThere(worktreeCopy)) return keptAsFiles;
  const { leftOut } = await copyWork(cell.worktree, incompleteCopy);
  if (leftOut > 0 && error instanceof GitFailed) throw error;
  await rename(incompleteCopy, worktreeCopy);
  host.log.warn(
    { cellId: cell.lease.cellId, worktreeCopy, leftOut, why: error.message },
    'git did not keep the work, which was kept as files',
  );
  return keptAsFiles;
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}
