import { open } from 'node:fs/promises';
import type { RunTestsInput, TestReport } from '../../activities/contract.ts';
import { treeOf } from '../git/revert.ts';
import { snapshotTree } from '../git/tree.ts';
import { shellEnvironment } from '../opencode/profile.ts';
import type { CellHost } from './host.ts';
import { openCell } from './open-cell.ts';
import { cellPaths } from './paths.ts';

const tailBytes = 8 * 1024;

/**
 * Restores the protected paths, writes the tree, and runs the test command: the tree that is tested is the tree
 * that is committed. When the tree is the base's, there is nothing to test.
 */
export async function testCell(host: CellHost, input: RunTestsInput, signal: AbortSignal): Promise<TestReport> {
  const cell = await openCell(host, input.cellId);
  const paths = cellPaths(host.stateDirectory, input.cellId);
  const snapshot = await snapshotTree({ ...cell, indexFile: paths.index, protectedPaths: input.protectedPaths });
  const changed = snapshot.tree !== (await treeOf(cell.gitDirectory, cell.baseCommit));
  if (!changed) return { ...snapshot, changed, outcome: 'skipped', exitCode: null, durationMs: 0, outputTail: '' };

  const logFile = paths.testOutput(input.round);
  const { exitCode, timedOut, durationMs } = await host.runtimes[cell.lease.runtime].runtime.exec(
    {
      cellId: input.cellId,
      execId: `${input.cellId}-test-${input.round}`,
      command: ['/bin/sh', '-c', input.command],
      directory: cell.worktree,
      env: shellEnvironment({ home: paths.home, path: host.path, env: input.env }),
      logFile,
      timeoutMs: input.timeoutMs,
    },
    signal,
  );
  signal.throwIfAborted();
  const output = await tailOf(logFile);
  const outputTail = timedOut ? `${output}\n[ended after its timeout of ${input.timeoutMs / 1000} seconds]` : output;
  return {
    ...snapshot,
    changed,
    outcome: exitCode === 0 && !timedOut ? 'passed' : 'failed',
    exitCode,
    durationMs,
    outputTail,
  };
}

/** The end of a file as text, without control characters that a terminal would obey. */
async function tailOf(file: string): Promise<string> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const length = Math.min(size, tailBytes - 128);
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
  // oxlint-disable-next-line no-control-regex -- terminal sequences are what is taken out
  return buffer.toString('utf8').replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '');
}
