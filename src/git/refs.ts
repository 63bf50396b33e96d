import retry, { AbortError } from 'p-retry';
import { CommitRefused } from './errors.ts';
import { git, GitFailed } from './git.ts';

export interface RefUpdate {
  ref: string;
  /** Where the ref must be; null when it must not exist. */
  from: string | null;
  to: string;
}

/** What a ref points at, or null when there is no such ref. */
export async function findRef(gitDirectory: string, ref: string, signal?: AbortSignal): Promise<string | null> {
  const found = await git(['for-each-ref', '--format=%(objectname) %(refname)', ref], { gitDirectory }, { signal });
  const line = found.split('\n').find((entry) => entry.endsWith(` ${ref}`));
  return line === undefined ? null : line.slice(0, line.indexOf(' '));
}

/**
 * Moves refs, all of them or none. A lock that another process holds is waited for, a few seconds.
 * Throws `CommitRefused`, which says what is in the way; what git says of anything else, a full disk say, may pass and is thrown as it is.
 */
export async function updateRefs(
  gitDirectory: string,
  updates: readonly RefUpdate[],
  signal?: AbortSignal,
): Promise<void> {
  const lines = updates.map(({ ref, from, to }) => `update ${ref} ${to} ${from ?? '0'.repeat(to.length)}`);
  const input = ['start', ...lines, 'prepare', 'commit', ''].join('\n');
  const attempt = async () => {
    await git(['update-ref', '--stdin'], { gitDirectory }, { input, signal }).catch((error: unknown) => {
      throw error instanceof GitFailed && isLocked(error)
        ? error
        : new AbortError(error instanceof Error ? error : String(error));
    });
  };
  try {
    await retry(attempt, { retries: 3, minTimeout: 100, factor: 2, signal });
  } catch (error) {
    signal?.throwIfAborted();
    const why = error instanceof GitFailed ? refusal(error) : null;
    if (why === null) throw error;
    const names = updates.map(({ ref }) => ref).join(' and ');
    throw new CommitRefused(`${names} could not be written: ${why}`, { cause: error });
  }
}

function isLocked(error: GitFailed): boolean {
  return /Unable to create '.*\.lock'/.test(error.message);
}

function refusal(error: GitFailed): string | null {
  const lock = /Unable to create '(.*\.lock)': File exists/.exec(error.message)?.[1];
  if (lock !== undefined)
    return `${lock} is in the way; if no git process of the repository is running, delete that file`;
  const other = /'(refs\/[^']*)' exists; cannot create/.exec(error.message)?.[1];
  if (other !== undefined)
    return `${other} exists, and git cannot have a ref both as a name and as a directory of names; rename that branch`;
  if (/but expected|already exists/.test(error.message))
    return `it was moved by someone else meanwhile (${error.message}); try again`;
  return null;
}
