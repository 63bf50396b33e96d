import { open } from 'node:fs/promises';
import type { RunTestsInput, TestReport } from '../../activities/contract.ts';
import { namedProtectedPaths } from '../domain/named-paths.ts';
import { restoreTree } from '../git/restore-tree.ts';
import { treeOf } from '../git/revert.ts';
import { shellEnvironment } from '../opencode/profile.ts';
import { confineCommand, giveBack } from './confine.ts';
import { raiseFence } from './fence.ts';
import type { CellHost } from './host.ts';
import { openCell } from './open-cell.ts';
import { cellPaths } from './paths.ts';
import { serverPlace } from './server-place.ts';
import { snapshotOnce } from './snapshot-once.ts';
import { whileAtRest } from './while-at-rest.ts';
import { DiskSpent, withinDisk } from './within-disk.ts';

/** Of the 8 KiB that the contract allows, some are left for a remark. */
const textBytes = 8 * 1024 - 128;

/**
 * Restores the protected paths, writes the tree, and runs the test command: the tree that is tested is the tree
 * that is committed. What the command leaves in the worktree is undone, so that neither a repair nor a second run takes
 * it for the agent's work. When the tree is the base's, there is nothing to test.
 *
 * @throws DiskSpent when the files of the cell came to take more than they may
 */
export async function testCell(host: CellHost, input: RunTestsInput, signal: AbortSignal): Promise<TestReport> {
  const cell = await openCell(host, input.cellId);
  const stillOurs = await raiseFence(host, input.cellId);
  const paths = cellPaths(host.stateDirectory, input.cellId);
  const snapshot = await whileAtRest(host, cell, () => snapshotOnce(cell, paths, input));
  const changed = snapshot.tree !== (await treeOf(cell.gitDirectory, cell.baseCommit));
  const made = { tree: snapshot.tree, ...namedProtectedPaths(snapshot.protectedPathsTouched), changed };
  if (!changed) return { ...made, outcome: 'skipped', exitCode: null, durationMs: 0, outputTail: '' };

  const { mark, home } = await serverPlace(host.stateDirectory, input.cellId);
  const lease = { ...cell.lease, worktree: cell.worktree };
  const confinement = await confineCommand(host, lease);
  const logFile = paths.testOutput(input.round);
  const run = (until: AbortSignal) =>
    host.runtimes[cell.lease.runtime].runtime.exec(
      {
        cellId: mark,
        execId: `${input.cellId}-test-${input.round}`,
        command: ['/bin/sh', '-c', input.command],
        directory: cell.worktree,
        env: shellEnvironment({ home, path: host.path, env: input.env }),
        logFile,
        timeoutMs: input.timeoutMs,
        ...(confinement === null ? {} : { confinement }),
      },
      until,
    );
  const putBack = async () => {
    // A later attempt has the worktree, and runs the command in it.
    await stillOurs();
    await whileAtRest(host, cell, async () => {
      await restoreTree({ ...cell, indexFile: paths.index, tree: snapshot.tree });
      await giveBack(host, lease);
    });
  };
  const { exitCode, timedOut, durationMs, outOfMemory } = await withinDisk(host, input.cellId, run, signal).catch(
    async (error: unknown) => {
      // What filled the disk goes at once, and is not kept as the work of the agent.
      if (error instanceof DiskSpent) await putBack();
      throw error;
    },
  );
  signal.throwIfAborted();
  await putBack();
  const output = await tailOf(logFile);
  const outputTail = timedOut ? `${output}\n[ended after its timeout of ${input.timeoutMs / 1000} seconds]` : output;
  return {
    ...made,
    outcome: exitCode === 0 && !timedOut ? 'passed' : 'failed',
    exitCode,
    durationMs,
    outputTail,
    timedOut,
    ...(outOfMemory ? { outOfMemory } : {}),
  };
}

/** The end of a file as text, without control characters that a terminal would obey. */
async function tailOf(file: string): Promise<string> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const length = Math.min(size, textBytes);
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
  // oxlint-disable-next-line no-control-regex -- terminal sequences are what is taken out
  const text = buffer.toString('utf8').replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
  return endOf(text);
}

/** What is no text takes three times its size as text. A character that is cut in the middle is left out. */
function endOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= textBytes) return text;
  return bytes
    .subarray(-textBytes)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
}
