import { appendFile, chmod, mkdir, mkdtemp, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { git } from './git.ts';
import { removeTree } from './remove-worktree.ts';
import { withRepositoryLock } from './repository-lock.ts';

export interface TemplateWanted {
  /** Of the caller's repository. */
  gitDirectory: string;
  /** Full id. */
  baseCommit: string;
  /** Where templates are kept, one directory for each base commit; made when it does not exist. */
  templates: string;
  signal?: AbortSignal | undefined;
}

/** More are not kept: those that were not used for the longest time go. */
const maximum = 8;
/** What a worker that died left half made, milliseconds. */
const abandonedAfter = 60 * 60_000;

/** How the agent's git works in a cell. The settings of a check by size and second hold also when files change their owner. */
const settings = `[core]
	bare = false
	logAllRefUpdates = true
	trustctime = false
	checkStat = minimal
[user]
	name = Agent
	email = agent@localhost
[gc]
	auto = 0
[maintenance]
	auto = false
`;

/**
 * A git directory that holds one commit, all that is in it, and nothing else. Made once for each base commit; answers its path.
 * Packing a commit of 20,000 files takes about a second, which not every cell should wait for.
 */
export async function privateTemplate(wanted: TemplateWanted): Promise<string> {
  const { baseCommit, templates, signal } = wanted;
  const path = join(templates, baseCommit);
  if (await touch(path)) return path;
  await mkdir(templates, { recursive: true, mode: 0o700 });
  const make = async () => {
    if (await touch(path)) return;
    await makeTemplate(wanted, path);
    await removeOld(templates);
  };
  await withRepositoryLock(templates, make, { signal, timeoutMs: 15 * 60_000 });
  return path;
}

/** Notes that a template is used. Answers whether there is one. */
async function touch(path: string): Promise<boolean> {
  const now = new Date();
  return await utimes(path, now, now).then(
    () => true,
    () => false,
  );
}

async function makeTemplate(
  { gitDirectory, baseCommit, templates, signal }: TemplateWanted,
  path: string,
): Promise<void> {
  const half = await mkdtemp(join(templates, 'new-'));
  try {
    const format = baseCommit.length === 64 ? 'sha256' : 'sha1';
    const flags = ['--bare', '--quiet', '--template=', '--initial-branch=main', `--object-format=${format}`];
    await git(['init', ...flags], { inspect: half }, { signal });
    await appendFile(join(half, 'config'), settings);
    await packCommit(gitDirectory, baseCommit, join(half, 'objects'), signal);
    // Its parents are not there, and git is told not to look for them.
    await writeFile(join(half, 'shallow'), `${baseCommit}\n`);
    await writeFile(join(half, 'refs/heads/main'), `${baseCommit}\n`);
    await rename(half, path);
  } catch (error) {
    await removeTree(half);
    throw error;
  }
}

/**
 * Without a search for deltas: those that the caller's packs have are taken over, and more would cost more than they save. git moves a
 * pack from its objects to where it was asked for, and cannot from one file system to another: so the template's own are its objects.
 */
async function packCommit(gitDirectory: string, commit: string, objects: string, signal?: AbortSignal): Promise<void> {
  const input = `--shallow ${commit}\n${commit}\n`;
  const into = join(objects, 'pack');
  const callers = join(gitDirectory, 'objects').replaceAll(/["\\]/g, '\\$&');
  await git(
    ['pack-objects', '--revs', '--quiet', '--window=0', join(into, 'pack')],
    { gitDirectory, objectDirectory: objects },
    { input, signal, env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: `"${callers}"` } },
  );
  for (const name of await readdir(into)) await chmod(join(into, name), 0o444);
}

/** Cells that have linked what is in a template keep it. */
async function removeOld(templates: string): Promise<void> {
  const names = await readdir(templates);
  const found = await Promise.all(
    names.map(async (name) => ({
      path: join(templates, name),
      name,
      usedAt: (await stat(join(templates, name))).mtimeMs,
    })),
  );
  const half = found.filter(({ name, usedAt }) => name.startsWith('new-') && Date.now() - usedAt > abandonedAfter);
  const whole = found.filter(({ name }) => !name.startsWith('new-')).sort((one, other) => other.usedAt - one.usedAt);
  for (const { path } of [...half, ...whole.slice(maximum)]) await removeTree(path);
}
