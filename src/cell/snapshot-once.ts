import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { restoreTree } from '../git/restore-tree.ts';
import { type Snapshot, snapshotTree } from '../git/tree.ts';
import { createFile } from './create-file.ts';
import type { OpenCell } from './open-cell.ts';
import type { CellPaths } from './paths.ts';

/**
 * What the agent had made when the step began for the first time: a later attempt makes the worktree that again. What the tests left
 * behind when their worker died is not what they judged, and protected paths that are restored do not say any more that they were touched.
 */
export async function snapshotOnce(
  cell: OpenCell,
  paths: CellPaths,
  { round, protectedPaths }: { round: number; protectedPaths: string[] },
): Promise<Snapshot> {
  const file = paths.snapshot(round);
  const earlier = await readSnapshot(file);
  if (earlier) {
    await restoreTree({ ...cell, indexFile: paths.index, tree: earlier.tree });
    return earlier;
  }
  const snapshot = await snapshotTree({ ...cell, indexFile: paths.index, protectedPaths });
  await createFile(file, JSON.stringify(snapshot));
  return snapshot;
}

const snapshotFile = v.pipe(
  v.string(),
  v.parseJson(),
  v.strictObject({ tree: v.string(), protectedPathsTouched: v.array(v.string()) }),
);

async function readSnapshot(file: string): Promise<Snapshot | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  return text === null ? null : v.parse(snapshotFile, text);
}
