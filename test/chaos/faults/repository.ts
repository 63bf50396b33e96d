import { readFile, rm, truncate, writeFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cellPaths } from '../../../src/cell/paths.ts';
import { branchOf } from '../../../src/domain/names.ts';
import type { HeldCell } from '../held-cell.ts';
import type { Fault, Pair } from '../pair.ts';

type Strike = NonNullable<Pair['strike']>;

const branchOfCell = ({ name }: HeldCell) => branchOf({ taskId: 'chaos', agentId: name });

async function pathsOf(cell: HeldCell) {
  const lease = await cell.lease();
  if (lease === null) throw new Error('there is no lease');
  return { cellId: lease.cellId, ...cellPaths(cell.stage.fleet.stateDirectory, lease.cellId) };
}

const removeWorktree: Strike = async (cell) => {
  const { worktree } = await pathsOf(cell);
  await rm(worktree, { recursive: true, force: true, maxRetries: 5 });
};

const truncateLease: Strike = async (cell) => {
  const { lease } = await pathsOf(cell);
  await truncate(lease, Math.floor((await readFile(lease)).length / 2));
};

const moveBase: Strike = async ({ repository }) => {
  await repository.git('branch', '--force', 'base', 'other');
  await repository.lookAgain();
};

const deleteBase: Strike = async ({ repository }) => {
  await repository.git('branch', '-D', 'base');
  await repository.lookAgain();
};

const makeBranch: Strike = async (cell) => {
  await cell.repository.git('branch', branchOfCell(cell), 'other');
  await cell.repository.lookAgain();
};

const lockOfIndex: Strike = async ({ repository }) => {
  await writeFile(join(repository.path, '.git', 'index.lock'), '');
  await repository.lookAgain();
};

const lockOfWorktreesIndex: Strike = async (cell) => {
  const { cellId } = await pathsOf(cell);
  await writeFile(join(cell.repository.path, '.git', 'worktrees', cellId, 'index.lock'), '');
};

const lockOfBranch: Strike = async (cell) => {
  const lock = join(cell.repository.path, '.git', 'refs', 'heads', `${branchOfCell(cell)}.lock`);
  await mkdir(dirname(lock), { recursive: true });
  await writeFile(lock, '');
};

/** One that its owner lets go of in time. */
const shortLockOfBranch: Strike = async (cell) => {
  await lockOfBranch(cell, cell.stage);
  const lock = join(cell.repository.path, '.git', 'refs', 'heads', `${branchOfCell(cell)}.lock`);
  void delay(300).then(() => rm(lock, { force: true }));
};

const anew = { verdicts: ['committed'], respawns: 1 };
const untouched = { verdicts: ['committed'] };
/** Nothing is begun anew once the work was judged: the cell says what it lost. */
const lost = { verdicts: ['CellLost'] };

const faultOf = (name: string, pairs: readonly Omit<Pair, 'fault'>[]): Fault => ({
  name,
  pairs: pairs.map((pair) => ({ fault: name, ...pair })),
});

/** What happens to the files that a cell stands on, and to the repository that it works for. */
export const repositoryFaults: readonly Fault[] = [
  faultOf('worktree deleted', [
    { step: 'execute', strike: removeWorktree, ...anew },
    { step: 'test', strike: removeWorktree, ...anew },
    { step: 'repair', strike: removeWorktree, ...anew },
    { step: 'commit', strike: removeWorktree, verdicts: ['committed'] },
    { step: 'teardown', strike: removeWorktree, ...untouched },
  ]),
  faultOf('lease truncated', [
    { step: 'execute', strike: truncateLease, ...anew },
    { step: 'test', strike: truncateLease, ...anew },
    { step: 'commit', strike: truncateLease, ...lost },
    { step: 'teardown', strike: truncateLease, ...untouched },
  ]),
  faultOf('base branch moved', [
    { step: 'spawn', strike: moveBase, ...untouched },
    { step: 'execute', strike: moveBase, ...untouched },
    { step: 'commit', strike: moveBase, ...untouched },
  ]),
  faultOf('base branch deleted', [
    { step: 'execute', strike: deleteBase, ...untouched },
    { step: 'revert', strike: deleteBase, verdicts: ['reverted'] },
  ]),
  faultOf("cell's branch made by another", [
    { step: 'test', strike: makeBranch, ...untouched, refs: ['refs/cells/superseded/<cellId>'] },
    { step: 'commit', strike: makeBranch, ...untouched, refs: ['refs/cells/superseded/<cellId>'] },
  ]),
  faultOf('index.lock left in the repository', [
    { step: 'spawn', strike: lockOfIndex, ...untouched },
    { step: 'execute', strike: lockOfIndex, ...untouched },
  ]),
  faultOf('index.lock left in the worktree', [
    { step: 'execute', strike: lockOfWorktreesIndex, ...untouched },
    { step: 'revert', strike: lockOfWorktreesIndex, verdicts: ['reverted'] },
  ]),
  faultOf('branch locked', [{ step: 'commit', strike: lockOfBranch, verdicts: ['CommitFailed'] }]),
  faultOf('branch locked for a moment', [{ step: 'commit', strike: shortLockOfBranch, ...untouched }]),
];
