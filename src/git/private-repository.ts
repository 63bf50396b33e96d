import { constants } from 'node:fs';
import { appendFile, chmod, chown, copyFile, link, lstat, mkdir, mkdtemp, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../files/replace-file.ts';
import { contentSettings } from './content-settings.ts';
import { privateTemplate, type TemplateWanted } from './private-template.ts';
import { removeTree } from './remove-worktree.ts';
import { firstIndex } from './worktree-paths.ts';

export interface PrivateRepositoryWanted extends TemplateWanted {
  /** The worktree that the agent will see, which nobody has changed since its checkout. */
  worktree: string;
  /** Where the repository is made. The directory above it must exist. */
  directory: string;
  /** Written for the runtime to bind over `.git` of the worktree: it names `directory`. */
  dotGitFile: string;
  /**
   * The user as whom the agent runs, where that is not the user of this process; null where it is the same. The worktree has to be its own as
   * well: git works in no repository of somebody else.
   */
  owner: { uid: number; gid: number } | null;
}

/**
 * Makes a git repository for one agent to do with as it likes: the base as its one commit, on a branch `main` of its own, and nothing of the
 * caller's that is not in the files of the base. No history, no other branches, no remotes, no objects of other cells.
 * The host never asks it anything: what counts is the files of the worktree.
 *
 * All of it is the agent's but the packs, which must not be given to it: each is a file that other cells have linked.
 *
 * Idempotent: one that is there is kept with what is in it. It has no release of its own, for it lies in the directory of its cell.
 */
export async function makePrivateRepository(wanted: PrivateRepositoryWanted): Promise<void> {
  if (!(await exists(wanted.directory))) await make(wanted);
  await writeDotGit(wanted);
}

/** Writes the file that stands for `.git`, unless it is there: a sandbox that shows that one would not show another. */
export async function writeDotGit({
  directory,
  dotGitFile,
  owner,
}: Pick<PrivateRepositoryWanted, 'directory' | 'dotGitFile' | 'owner'>): Promise<void> {
  if (await exists(dotGitFile)) return;
  await replaceFile(dotGitFile, `gitdir: ${directory}\n`, { mode: 0o444, sync: false, owner });
}

async function make(wanted: PrivateRepositoryWanted): Promise<void> {
  const { gitDirectory, worktree, directory, owner, signal } = wanted;
  signal?.throwIfAborted();
  const half = await mkdtemp(join(dirname(directory), `${basename(directory)}-new-`));
  // Both begin here, where their end is awaited: what rejects while nobody waits for it ends the worker.
  const [settings, copied] = [contentSettings(gitDirectory, signal), copyTemplate(wanted, half)];
  try {
    const [text] = await Promise.all([settings, copied]);
    await appendFile(join(half, 'config'), text);
    // With it git knows that no file has changed. Written anew it is younger than all of them, so that git need not look closer.
    await copyFile(firstIndex({ gitDirectory, path: worktree }), join(half, 'index'));
    await hand(join(half, 'index'), 0o600, owner);
    await rename(half, directory);
  } catch (error) {
    // Neither goes on behind the removal.
    await Promise.allSettled([settings, copied]);
    await removeTree(half);
    // Another run of the same step was faster.
    if (!(await exists(directory))) throw error;
  }
}

/** A template may be removed by one that is newer just when it is wanted: then it is made again. */
async function copyTemplate(wanted: PrivateRepositoryWanted, to: string): Promise<void> {
  try {
    await copyDirectory(await privateTemplate(wanted), to, wanted.owner);
  } catch (error) {
    if (await exists(join(wanted.templates, wanted.baseCommit))) throw error;
    await removeTree(to);
    await copyDirectory(await privateTemplate(wanted), to, wanted.owner);
  }
}

type Owner = PrivateRepositoryWanted['owner'];

/** Nothing in a template is a link. */
async function copyDirectory(from: string, to: string, owner: Owner): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyDirectory(source, target, owner);
    else if (basename(from) !== 'pack') await copy(source, target, 0o600, owner);
    else await copyPack(source, target, owner);
  }
  await hand(to, 0o700, owner);
}

/**
 * Packs are large, so they are linked where the agent is another user: it cannot change a file that is not its own, be it in its own directory.
 * What belongs to its own user it could change for every cell that has linked it, and therefore has a copy of.
 */
async function copyPack(source: string, target: string, owner: Owner): Promise<void> {
  if (
    owner !== null &&
    (await link(source, target).then(
      () => true,
      () => false,
    ))
  )
    return;
  await copy(source, target, 0o444, owner);
}

async function copy(source: string, target: string, mode: number, owner: Owner): Promise<void> {
  await copyFile(source, target, constants.COPYFILE_FICLONE);
  await hand(target, mode, owner);
}

async function hand(path: string, mode: number, owner: Owner): Promise<void> {
  await chmod(path, mode);
  if (owner !== null) await chown(path, owner.uid, owner.gid);
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}
