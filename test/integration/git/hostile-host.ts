import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { agentCommits } from '../../../src/git/agent-commits.ts';
import { fileChanges, writeDiff } from '../../../src/git/changes.ts';
import { commitTree } from '../../../src/git/commit.ts';
import { removeWorktree } from '../../../src/git/remove-worktree.ts';
import { restoreTree } from '../../../src/git/restore-tree.ts';
import { keepReverted, restoreWorktree } from '../../../src/git/revert.ts';
import { type Cell, cellWith, date } from './life.ts';

/** A cell whose agent is hostile, beside what it would like to run and to read. */
export interface HostileCell extends Cell {
  /** A program that leaves a mark when it runs, and answers what it was given. */
  canary: string;
  /** What ran, by line; empty when nothing did. */
  marks(): Promise<string>;
  /** A file outside of the worktree, and a directory with it in. */
  secret: { file: string; directory: string; text: string };
  at(name: string): string;
  /** Writes files into the worktree, by name. */
  plant(files: Record<string, string>): Promise<void>;
}

export async function hostileCell(
  files: Record<string, string> = { 'a.txt': 'a\n', 'dir/b.txt': 'b\n' },
): Promise<HostileCell> {
  const cell = await cellWith(files);
  const canary = join(cell.directory, 'canary');
  const ran = join(cell.directory, 'ran');
  const directory = join(cell.directory, 'outside');
  const secret = { directory, file: join(directory, 'b.txt'), text: 'the secret of the host\n' };
  await mkdir(directory);
  await writeFile(secret.file, secret.text);
  await writeFile(canary, `#!/bin/sh\necho "$0 $*" >> ${ran}\ncat\n`);
  await chmod(canary, 0o755);
  const at = (name: string) => join(cell.worktree, name);
  return {
    ...cell,
    canary,
    secret,
    at,
    marks: () => readFile(ran, 'utf8').catch(() => ''),
    async plant(planted) {
      for (const [name, content] of Object.entries(planted)) {
        await mkdir(join(at(name), '..'), { recursive: true });
        await writeFile(at(name), content);
      }
    },
  };
}

/** A repository in which everything that git can be told to run is the canary. Answers its git directory. */
export async function evilRepository(cell: HostileCell, path = join(cell.directory, 'evil')): Promise<string> {
  await cell.repository.git('init', '--quiet', path);
  await arm(cell, join(path, '.git'));
  return join(path, '.git');
}

/** Tells a git directory to run the canary wherever it can. */
export async function arm(cell: HostileCell, gitDirectory: string): Promise<void> {
  for (const hook of hooks) {
    await mkdir(join(gitDirectory, 'hooks'), { recursive: true });
    await writeFile(join(gitDirectory, 'hooks', hook), await readFile(cell.canary));
    await chmod(join(gitDirectory, 'hooks', hook), 0o755);
  }
  for (const setting of settings) {
    await cell.repository.git(`--git-dir=${gitDirectory}`, 'config', setting, cell.canary);
  }
  await cell.repository.git(`--git-dir=${gitDirectory}`, 'config', 'filter.x.required', 'true');
}

const hooks = [
  'post-checkout',
  'pre-commit',
  'post-commit',
  'reference-transaction',
  'post-index-change',
  'pre-auto-gc',
];

const settings = [
  'core.fsmonitor',
  'core.pager',
  'core.editor',
  'core.sshCommand',
  'filter.x.clean',
  'filter.x.smudge',
  'diff.external',
  'diff.x.command',
  'diff.x.textconv',
  'merge.x.driver',
  'gpg.program',
  'credential.helper',
];

/** As in a confined cell of a worker that is root: the files belong to the cell and not to the worker. */
async function handToCell({ worktree }: Pick<Cell, 'worktree'>): Promise<void> {
  if (process.getuid?.() === 0) await execa('chown', ['-hR', '1073741999:1073741999', worktree]);
}

export interface HostSteps {
  /** By change and name, sorted. */
  changes: string[];
  tree: string;
}

/** All that the host does with a worktree in the life of a cell, and checks that it runs and reads nothing of what was planted. */
export async function runHostSteps(cell: HostileCell, protectedPaths = ['protected/**']): Promise<HostSteps> {
  const { gitDirectory, baseCommit, worktree, cellId, directory } = cell;
  await handToCell(cell);
  const { tree } = await cell.snapshot(protectedPaths);
  const indexFile = join(directory, `${cellId}.index`);
  await restoreTree({ gitDirectory, worktree, indexFile, tree });
  const again = await cell.snapshot(protectedPaths);
  if (again.tree !== tree) throw new Error('a second look at the same worktree found another tree');
  const changes = await fileChanges(gitDirectory, baseCommit, tree);
  await writeDiff(gitDirectory, baseCommit, tree, join(directory, 'patch'));
  const wanted = { gitDirectory, baseCommit, cellId, tree, date, message: 'Work' };
  await agentCommits({ gitDirectory, worktree, baseCommit });
  await commitTree({ ...wanted, branch: 'cells/task/agent' });
  await keepReverted(wanted);
  await undoAll(cell);
  await assertSecretKept(cell, tree);
  return { changes: changes.map(({ change, path }) => `${change} ${path}`).sort(), tree };
}

/** What ends every cell, whatever is in its worktree. */
export async function undoAll({ gitDirectory, baseCommit, worktree }: HostileCell): Promise<void> {
  await restoreWorktree({ gitDirectory, worktree, baseCommit });
  await removeWorktree({ gitDirectory, path: worktree });
}

async function assertSecretKept(cell: HostileCell, tree: string): Promise<void> {
  const found = await cell.repository.git('grep', '--quiet', '-a', cell.secret.text.trim(), tree).catch(() => null);
  const patch = await readFile(join(cell.directory, 'patch'), 'utf8');
  if (found !== null || patch.includes(cell.secret.text.trim()))
    throw new Error('the secret of the host is in the tree');
  if ((await readFile(cell.secret.file, 'utf8')) !== cell.secret.text) throw new Error('the secret was written to');
}
