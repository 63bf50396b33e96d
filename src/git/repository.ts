import { realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { withoutCredentials } from '../domain/without-credentials.ts';
import { isAllowed, isUrl } from './allow-list.ts';
import { RepositoryError, RepositoryNotAllowed } from './errors.ts';
import { git, GitFailed } from './git.ts';
import { openMirror } from './mirror.ts';

export interface RepositoryWanted {
  /** Absolute path, or URL; empty when neither the request nor the worker names one. */
  repository: string;
  /** Paths and URL prefixes that this worker may work on. */
  allowed: readonly string[];
  /** Where the mirrors of URLs are kept; made when it does not exist. */
  mirrorsDirectory: string;
}

/**
 * Finds the git directory that holds the objects and refs, by its real path; of a URL, a mirror that was fetched just now.
 * Throws `RepositoryError` when the repository is not allowed, missing, not a repository, or not the top of one.
 */
export async function openRepository(
  wanted: RepositoryWanted,
  signal?: AbortSignal,
): Promise<{ gitDirectory: string }> {
  const { repository, allowed, mirrorsDirectory } = wanted;
  if (repository === '') {
    throw new RepositoryError(
      'the request names no repository, and the worker has no default one; name it in `repository`, or set CELLS_REPOSITORY of the worker',
    );
  }
  if (!(await isAllowed(repository, allowed))) {
    throw new RepositoryNotAllowed(
      `${withoutCredentials(repository)} is not a repository that this worker may work on; add it, or a path or URL above it, to CELLS_REPOSITORIES of the worker`,
    );
  }
  if (isUrl(repository)) return { gitDirectory: await openMirror(repository, mirrorsDirectory, signal) };
  return { gitDirectory: await gitDirectoryOf(repository, allowed, signal) };
}

/**
 * The full id of the commit that a branch, tag or commit names; a branch that only the remote has will do.
 * Throws `RepositoryError` when there is none, naming what there is.
 */
export async function resolveBase(gitDirectory: string, branch: string, signal?: AbortSignal): Promise<string> {
  const names = [`refs/heads/${branch}`, branch, `refs/remotes/origin/${branch}`];
  // What looks like an option can only be a branch, and so has to be named in full.
  for (const name of names.filter((candidate) => !candidate.startsWith('-'))) {
    const commit = await commitOf(gitDirectory, name, signal);
    if (commit !== null) return commit;
  }
  const branches = await someBranches(gitDirectory, signal);
  throw new RepositoryError(
    branches.length === 0
      ? `${gitDirectory} has no commits: a cell needs one to start from; make a first commit`
      : `${gitDirectory} has no branch, tag or commit "${branch}"; it has ${branches.join(', ')}`,
  );
}

/** The commit at the tip of a branch, or null when there is no such branch. */
export async function findTipOf(gitDirectory: string, branch: string, signal?: AbortSignal): Promise<string | null> {
  return await commitOf(gitDirectory, `refs/heads/${branch}`, signal);
}

async function gitDirectoryOf(repository: string, allowed: readonly string[], signal?: AbortSignal): Promise<string> {
  const path = await directoryAt(repository);
  const is = ['--is-bare-repository', '--is-inside-work-tree', '--git-dir', '--git-common-dir', '--show-prefix'];
  const query = ['rev-parse', '--path-format=absolute', ...is];
  // Naming this very directory in the settings says that it is trusted whoever owns it, and wherever it keeps its objects.
  const named = allowed.some((entry) => resolve(entry) === path);
  const config = named ? [`safe.directory=${path}`] : [];
  const options = { config, env: { GIT_CEILING_DIRECTORIES: dirname(path) }, signal };
  try {
    const answer = await git(query, { inspect: path }, options);
    const [bare, inside, gitDirectory = '', common = '', prefix] = answer.split('\n');
    // Of a work tree the top is where nothing leads down from it.
    const isTop =
      bare === 'true' || gitDirectory === path
        ? (await realpath(gitDirectory)) === path
        : inside === 'true' && prefix === '';
    if (isTop && named) return await realpath(common);
    if (isTop) return await allowedDirectory(repository, await realpath(common), allowed);
  } catch (error) {
    if (!(error instanceof GitFailed)) throw error;
    throw new RepositoryError(
      `${repository} is not the top directory of a git repository, or one that git refuses: ${error.message}`,
      { cause: error },
    );
  }
  throw new RepositoryError(
    `${repository} is a directory inside a repository; give the top directory of the repository`,
  );
}

/** A `.git` that is a link, or the file of a linked worktree, may lead anywhere: what it leads to must be allowed as well. */
async function allowedDirectory(repository: string, gitDirectory: string, allowed: readonly string[]): Promise<string> {
  if (await isAllowed(gitDirectory, allowed)) return gitDirectory;
  throw new RepositoryNotAllowed(
    `${repository} keeps its objects in ${gitDirectory}, which this worker may not work on; add that to CELLS_REPOSITORIES of the worker`,
  );
}

async function directoryAt(repository: string): Promise<string> {
  try {
    const path = await realpath(repository);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    throw new RepositoryError(`${repository} does not exist on this host, or cannot be read`, { cause: error });
  }
  throw new RepositoryError(`${repository} is a file and not a directory with a git repository`);
}

async function commitOf(gitDirectory: string, name: string, signal?: AbortSignal): Promise<string | null> {
  try {
    const query = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
    return (await git(query, { gitDirectory }, { signal })).trim();
  } catch (error) {
    // 1: there is no such name; 128: there cannot be.
    if (error instanceof GitFailed && (error.exitCode === 1 || error.exitCode === 128)) return null;
    throw error;
  }
}

async function someBranches(gitDirectory: string, signal?: AbortSignal): Promise<string[]> {
  const query = [
    'for-each-ref',
    '--count=8',
    '--sort=-committerdate',
    '--format=%(refname:short)',
    'refs/heads',
    'refs/remotes/origin',
  ];
  const names = await git(query, { gitDirectory }, { signal });
  return names.split('\n').filter((name) => name !== '');
}
