import { createHash } from 'node:crypto';
import { chmod, lstat, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TemporaryRepository } from './temporary-repository.ts';

/**
 * Brings a repository into the middle of somebody's work: staged, unstaged, untracked, ignored, stashed and merged halfway,
 * with hooks that write a file `hook-ran`.
 */
export async function makeDirty(repository: TemporaryRepository): Promise<void> {
  await repository.write({ 'a.txt': 'a\n', 'b.txt': 'b\n', '.gitignore': 'ignored\n' });
  await repository.git('add', '--all');
  await repository.git('commit', '--quiet', '-m', 'Begin');
  await repository.write({ 'a.txt': 'stashed\n' });
  await repository.git('stash');
  await repository.git('branch', 'other');
  await repository.git('checkout', '--quiet', 'other');
  await repository.write({ 'b.txt': 'other\n' });
  await repository.git('commit', '--quiet', '--all', '-m', 'Other');
  await repository.git('checkout', '--quiet', 'main');
  await repository.write({ 'b.txt': 'main\n' });
  await repository.git('commit', '--quiet', '--all', '-m', 'Main');
  await repository.git('merge', 'other').catch(() => 'a conflict, as intended');
  await repository.write({ 'staged.txt': 'staged', ignored: 'x' });
  await repository.git('add', 'staged.txt');
  await repository.write({ 'a.txt': 'unstaged', 'untracked.txt': 'x' });
  for (const hook of ['post-checkout', 'pre-commit', 'post-commit', 'reference-transaction', 'post-index-change']) {
    const path = join(repository.path, '.git/hooks', hook);
    await writeFile(path, `#!/bin/sh\ntouch ${repository.path}/hook-ran\n`);
    await chmod(path, 0o755);
  }
}

/** All of a repository, bit for bit, but its objects, and the refs and worktrees of cells: as lines that can be compared. */
export async function stateOf(repository: Pick<TemporaryRepository, 'path' | 'git'>): Promise<string[]> {
  const ours = /^\.git\/(objects|worktrees)(\/|$)|^\.git\/(logs\/)?refs\/(heads\/)?cells(\/|$)/;
  const lines = await fingerprint(repository.path, (name) => ours.test(name));
  // Looking must not write the index: the test would disturb what it compares.
  const status = await repository.git('--no-optional-locks', 'status', '--porcelain', '--ignored');
  return [...lines, status, await repository.git('stash', 'list')];
}

/** Every file of a tree as a line: name, mode, and a hash of its bytes or the target of the link. */
export async function fingerprint(root: string, skip: (name: string) => boolean = () => false): Promise<string[]> {
  const names = (await readdir(root, { recursive: true })).filter((name) => !skip(name)).sort();
  return await Promise.all(names.map((name) => describeFile(root, name)));
}

async function describeFile(root: string, name: string): Promise<string> {
  const path = join(root, name);
  const found = await lstat(path);
  if (found.isSymbolicLink()) return `${name} -> ${await readlink(path)}`;
  if (!found.isFile()) return `${name} ${found.mode.toString(8)}`;
  const hash = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  return `${name} ${found.mode.toString(8)} ${found.mtimeMs} ${hash}`;
}
