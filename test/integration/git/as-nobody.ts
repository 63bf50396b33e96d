import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Snapshot } from '../../../src/git/tree.ts';
import type { Cell } from './life.ts';

const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : null;

/** Takes the tree of a cell by a worker that is not root, and to whom all of it belongs. */
export async function snapshotAsNobody(cell: Cell, protectedPaths: readonly string[] = []): Promise<Snapshot> {
  // As `snapshotTree` answers.
  return JSON.parse(await asNobody(cell, 'snapshotTree', { protectedPaths })) as Snapshot;
}

/** Does a step of the host as somebody who is not root, where the tests run as root; as who they run as where not. */
export async function asNobody(
  cell: Cell,
  step: 'snapshotTree' | 'restoreTree' | 'restoreWorktree',
  more: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  if (nobody !== null) await execa('chown', ['-hR', '65534:65534', cell.repository.path, cell.directory]);
  const { gitDirectory, worktree, baseCommit, directory, cellId } = cell;
  const input = { gitDirectory, worktree, baseCommit, indexFile: join(directory, `${cellId}.index`), ...more };
  const program = fileURLToPath(new URL('step-as-user.ts', import.meta.url));
  const { stdout } = await execa(process.execPath, [program, step, JSON.stringify(input)], nobody ?? {});
  return stdout;
}

/** What a tree holds that the base does not, and the other way round: letter and name, sorted by name. */
export async function changesIn(cell: Cell, tree: string): Promise<string[]> {
  const compare = ['diff-tree', '-r', '--name-status', cell.baseCommit, tree];
  const output = await cell.repository.git('-c', 'safe.directory=*', ...compare);
  return output.split('\n').filter((line) => line !== '');
}
