import { copyFile, lstat, mkdir, mkdtemp, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentSettings } from './content-settings.ts';
import type { Place } from './git.ts';
import { removeTree } from './remove-worktree.ts';
import { adminDirectory, completionMark, type WorktreePlace } from './worktree-paths.ts';

/** How the host's git sees a worktree. */
export type HostView = Extract<Place, { gitDirectory: string }> & { workTree: string };

/**
 * What the host's git is given to read or write a worktree with: a git directory of our own, in which there is no configuration but
 * ours, and the objects of the caller's repository.
 *
 * Attributes are files of the worktree, so an agent decides which filter git asks for. Those that the caller's repository has may be programs
 * of the worktree themselves, and those that it does not have an agent of the `process` runtime could add. In this view there is none, and
 * so nothing to run: a file is taken as its bytes are.
 */
export async function hostView(place: WorktreePlace, indexFile?: string): Promise<HostView> {
  const directory = directoryOf(place);
  if (!(await exists(directory))) await makeHostView(place, await readFile(completionMark(place), 'utf8'));
  return {
    gitDirectory: directory,
    objectDirectory: join(place.gitDirectory, 'objects'),
    workTree: place.path,
    indexFile: indexFile ?? join(adminDirectory(place), 'index'),
  };
}

/**
 * Makes that git directory, before an agent can change what it is made from. Idempotent.
 *
 * @param settings what `contentSettings` answers, where it was asked before
 */
export async function makeHostView(
  place: WorktreePlace,
  commit: string,
  settings = contentSettings(place.gitDirectory),
): Promise<void> {
  const half = await mkdtemp(`${directoryOf(place)}-`);
  try {
    await Promise.all(['refs', 'objects', 'info'].map((name) => mkdir(join(half, name))));
    await writeFile(join(half, 'HEAD'), 'ref: refs/heads/none\n');
    await writeFile(join(half, 'config'), `${formatOf(commit)}${await settings}`);
    for (const name of ['info/exclude', 'info/attributes']) {
      await copyFile(join(place.gitDirectory, name), join(half, name)).catch(() => 'there is none');
    }
    await rename(half, directoryOf(place));
  } catch (error) {
    await removeTree(half);
    if (!(await exists(directoryOf(place)))) throw error;
  }
}

const directoryOf = (place: WorktreePlace): string => join(adminDirectory(place), 'agent-cells-git');

/** The length of an id says how ids are made. */
function formatOf(commit: string): string {
  return commit.trim().length === 64
    ? '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n'
    : '[core]\n\trepositoryformatversion = 0\n';
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}
