import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Whether a repository is one of the `allowed` paths and URL prefixes, or lies below one of them.
 * Paths are compared by their real paths, and both paths and URLs by whole components: `/srv/git` does not allow `/srv/git-evil`.
 */
export async function isAllowed(repository: string, allowed: readonly string[]): Promise<boolean> {
  const answers = await Promise.all(allowed.map((entry) => allows(entry, repository)));
  return answers.includes(true);
}

/** Whether a repository is given as a URL, `git@host:path` included, and not as a path. */
export function isUrl(repository: string): boolean {
  return !repository.startsWith('/');
}

async function allows(entry: string, repository: string): Promise<boolean> {
  if (isUrl(entry) !== isUrl(repository)) return false;
  if (!isUrl(entry)) return isWithin(await realOrResolved(repository), await realOrResolved(entry));
  const [wanted, prefix] = [parse(repository), parse(entry)];
  if (wanted === null || prefix === null || wanted.host !== prefix.host) return false;
  if (wanted.host !== 'file:') return isWithin(wanted.path, prefix.path);
  return isWithin(await realOrResolved(wanted.path), await realOrResolved(prefix.path));
}

/** A path that does not exist is taken as it is written, so that it can be said to be missing. */
async function realOrResolved(path: string): Promise<string> {
  return await realpath(path).catch(() => resolve(path));
}

function isWithin(path: string, parent: string): boolean {
  return path === parent || path.startsWith(parent.endsWith(sep) ? parent : `${parent}${sep}`);
}

/** `host` is all that stands before the path: scheme, user, host and port. */
function parse(text: string): { host: string; path: string } | null {
  // What a reader of URLs would drop, map to something else or resolve is read differently by git.
  if (/[^\x21-\x7e]|[\\?#%]|(^|[/:])\.{1,2}(\/|$)/.test(text)) return null;
  const short = /^([\w.-]+@[\w.-]+:)(?!\/\/)(.*)$/.exec(text);
  if (short !== null) return { host: `ssh ${short[1]}`, path: (short[2] ?? '').replace(/\/+$/, '') };
  const url = URL.parse(text);
  if (url === null || !/^(https|ssh|file):$/.test(url.protocol)) return null;
  if (url.protocol === 'file:') return url.host === '' ? { host: 'file:', path: fileURLToPath(url) } : null;
  return {
    host: `${url.protocol}//${url.username}:${url.password}@${url.host}`,
    path: url.pathname.replace(/\/+$/, ''),
  };
}
