import { basename } from 'node:path';
import type { CommitInput, CommitReport } from '../../activities/contract.ts';
import { namedFiles, namedProtectedPaths } from '../domain/named-paths.ts';
import { branchOf } from '../domain/names.ts';
import { replaceFile } from '../files/replace-file.ts';
import { agentCommits } from '../git/agent-commits.ts';
import { fileChanges, writeDiff } from '../git/changes.ts';
import { commitTree } from '../git/commit.ts';
import { treeOf } from '../git/revert.ts';
import { messageOfCommit } from './commit-message.ts';
import { endProcessesAhead } from './end-processes.ts';
import { raiseFence } from './fence.ts';
import type { CellHost } from './host.ts';
import { openCell } from './open-cell.ts';
import { cellPaths } from './paths.ts';
import { snapshotOnce } from './snapshot-once.ts';
import { whileAtRest } from './while-at-rest.ts';

/** Ends the agent, and commits the tree that was tested, or what is there now when nothing was tested. */
export async function commitCell(host: CellHost, input: CommitInput): Promise<CommitReport> {
  const cell = await openCell(host, input.cellId);
  const stillOurs = await raiseFence(host, input.cellId);
  const { gitDirectory, baseCommit, lease } = cell;
  const paths = cellPaths(host.stateDirectory, input.cellId);
  const { tree, protectedPathsTouched } =
    input.tree === null
      ? await whileAtRest(host, cell, () => snapshotOnce(cell, paths, { ...input, round: 0 }))
      : { tree: input.tree, protectedPathsTouched: [] };
  endProcessesAhead(host, lease);
  const touched = namedProtectedPaths(protectedPathsTouched);
  if (tree === (await treeOf(gitDirectory, baseCommit))) return { kind: 'unchanged', ...touched };

  await keepAgentCommits(cell, paths.agentCommits);
  await writeDiff(gitDirectory, baseCommit, tree, paths.diff);
  const branch = branchOf(lease.owner);
  // Before the branch is there: what fails after that would end a cell as not committed.
  const files = namedFiles(await fileChanges(gitDirectory, baseCommit, tree));
  await stillOurs();
  const committed = await commitTree({
    gitDirectory,
    tree,
    baseCommit,
    branch,
    cellId: input.cellId,
    entry: basename(cell.worktree),
    message: messageOfCommit(lease, input),
    date: lease.createdAt,
  });
  return {
    kind: 'committed',
    branch,
    commit: committed.commit,
    ...files,
    ...touched,
  };
}

/** What the agent committed itself is folded into the one commit; its messages are kept. */
async function keepAgentCommits(
  cell: { gitDirectory: string; worktree: string; baseCommit: string },
  file: string,
): Promise<void> {
  const commits = await agentCommits(cell);
  if (commits.length > 0) await replaceFile(file, JSON.stringify(commits, null, 2), { mode: 0o600 });
}
