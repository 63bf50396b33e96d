import type { Dirent, Stats } from 'node:fs';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnfitWorktree } from './errors.ts';
import { GitFailed, GitWroteTooMuch } from './git.ts';

/** How long git may take before the worktree is searched for what it could be waiting at, milliseconds; each time twice as long. */
const patience = 5000;

/**
 * Does work with git on a worktree that an agent had in hand. What git cannot take, or would wait at for ever, becomes `UnfitWorktree`, which says
 * what it is; what can be mended is mended first.
 *
 * @param indexFile the index of our own that git is given for it
 */
export async function onFitWorktree<T>(
  { worktree, indexFile }: { worktree: string; indexFile: string },
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal = new AbortController().signal,
): Promise<T> {
  try {
    return await unlessStuck(worktree, work, signal);
  } catch (error) {
    if (!isForbidden(error)) throw error instanceof GitFailed ? unfit(error) : error;
  }
  await makeReadable(Buffer.from(worktree));
  // Written while git could not look at every file, it may take one for unchanged that was changed within a second.
  await rm(indexFile, { force: true });
  return await unlessStuck(worktree, work, signal).catch((error: unknown) => {
    throw error instanceof GitFailed ? unfit(error) : error;
  });
}

/** Whether something in a directory is neither a file nor a link nor a directory. */
export function isSpecial(found: Stats | Dirent<Buffer>): boolean {
  return !found.isFile() && !found.isDirectory() && !found.isSymbolicLink();
}

async function unlessStuck<T>(
  worktree: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const stuck = new AbortController();
  const over = new AbortController();
  const watched = watch(worktree, stuck, over.signal).catch(() => 'the work was faster');
  try {
    return await work(AbortSignal.any([signal, stuck.signal]));
  } finally {
    over.abort();
    await watched;
  }
}

async function watch(worktree: string, stuck: AbortController, over: AbortSignal): Promise<void> {
  for (let wait = patience; ; wait *= 2) {
    await sleep(wait, undefined, { signal: over });
    const name = await findPipe(Buffer.from(worktree), over);
    if (name !== null) {
      stuck.abort(
        new UnfitWorktree(
          `the agent left ${name} as a pipe or the like, at which git waits for ever; have it remove that`,
        ),
      );
      return;
    }
  }
}

/** The files that git reads by itself in the directories it looks into, beside those by which it tells whether a `.git` is one. */
const readByGit = new Set(['.gitattributes', '.gitignore', '.gitmodules']);

async function findPipe(directory: Buffer, signal: AbortSignal, isDotGit = false): Promise<string | null> {
  for (const entry of await entriesOf(directory)) {
    signal.throwIfAborted();
    const path = Buffer.concat([directory, Buffer.from('/'), entry.name]);
    const name = entry.name.toString();
    if ((isDotGit || readByGit.has(name)) && isSpecial(entry)) return path.toString();
    const found = entry.isDirectory() ? await findPipe(path, signal, name === '.git') : null;
    if (found !== null) return found;
  }
  return null;
}

/** By git, or by the system, which lets nobody remove what is in a directory that may not be written. */
function isForbidden(error: unknown): boolean {
  if (error instanceof GitFailed) return /Permission denied/.test(error.message);
  return error instanceof Error && 'code' in error && error.code === 'EACCES';
}

/** Gives the user of this process back what it needs to read and remove its own files. Links are not followed. */
async function makeReadable(path: Buffer): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null || found.isSymbolicLink()) return;
  const needed = found.isDirectory() ? 0o700 : 0o600;
  if ((found.mode & needed) !== needed) await chmod(path, (found.mode & 0o777) | needed).catch(() => {});
  if (!found.isDirectory()) return;
  for (const { name } of await entriesOf(path)) await makeReadable(Buffer.concat([path, Buffer.from('/'), name]));
}

async function entriesOf(directory: Buffer): Promise<Dirent<Buffer>[]> {
  return await readdir(directory, { withFileTypes: true, encoding: 'buffer' }).catch(() => []);
}

/** What git says of things that only an agent can have done; anything else is a failure of git, and stays one. */
const reasons: readonly (readonly [RegExp, (what: string) => string])[] = [
  [
    /invalid path '(.*)'/,
    (name) => `the name ${name}, which git or another system would take for one of its own files`,
  ],
  [
    /^fatal: (failed to encode '.*' from .*|BOM is (?:required|prohibited) in .*)/m,
    (what) => `a .gitattributes that asks for an encoding that a file does not have (${what})`,
  ],
  [
    /^fatal: (true\/false are no valid working-tree-encodings)/m,
    (what) => `a .gitattributes that asks for an encoding and names none (${what})`,
  ],
  [
    /(?:open\(|open directory |unable to (?:stat|index file) )["'](.*?)["'].*Permission denied/,
    (name) => `${name}, which cannot be read`,
  ],
  // git does not say why where the name itself fills what it can say.
  [/could not open directory '(.*)/, (name) => `directories within directories, too deep for a path (${name})`],
];

function unfit(error: GitFailed): Error {
  // All that grows with what is in a worktree are lists of names.
  if (error instanceof GitWroteTooMuch)
    return new UnfitWorktree(
      `the agent left too many names of files in its worktree (${error.message}): have it remove them`,
      { cause: error },
    );
  for (const [pattern, describe] of reasons) {
    const found = pattern.exec(error.message)?.[1];
    if (found === undefined) continue;
    const what = describe(found.slice(0, 200));
    return new UnfitWorktree(
      `the agent left in its worktree ${what}: that cannot become part of the commit; have it remove that`,
      {
        cause: error,
      },
    );
  }
  return error;
}
