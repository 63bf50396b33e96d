import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutCredentials } from '../domain/without-credentials.ts';
import { removeAbandonedPacks } from './abandoned-packs.ts';
import { RepositoryError } from './errors.ts';
import { git, GitFailed } from './git.ts';
import { removeTree } from './remove-worktree.ts';
import { withRepositoryLock } from './repository-lock.ts';

/**
 * The git directory of the mirror of a URL, fetched after this call began: made when it is the first time.
 * The remote's branches are kept as `refs/remotes/origin/*`, so that a fetch can never touch the branches of cells,
 * which live in the mirror as `refs/heads/cells/*`.
 */
export async function openMirror(url: string, mirrorsDirectory: string, signal?: AbortSignal): Promise<string> {
  const asked = Date.now();
  const hash = createHash('sha256').update(url.replace(/\/+$/, '')).digest('hex').slice(0, 24);
  const path = join(mirrorsDirectory, `${hash}.git`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  const gitDirectory = await realpath(path);
  const update = async () => {
    // Many cells ask at once: a fetch that began after this one asked is new enough for it. One of the future was before the clock was set back.
    const last = await lastFetch(gitDirectory);
    const began = Date.now();
    if (last > asked && last <= began) return;
    await removeAbandonedPacks(gitDirectory);
    await makeAndFetch(url, gitDirectory, signal).catch(async (error: unknown) => {
      if (!isLocked(error)) throw error;
      await removeLocks(gitDirectory);
      await makeAndFetch(url, gitDirectory, signal);
    });
    await writeFile(stamp(gitDirectory), String(began));
  };
  await withRepositoryLock(gitDirectory, update, { signal, timeoutMs: 15 * 60_000, purpose: 'fetch' });
  return gitDirectory;
}

const stamp = (gitDirectory: string) => join(gitDirectory, 'agent-cells-fetched');

async function lastFetch(gitDirectory: string): Promise<number> {
  return Number(await readFile(stamp(gitDirectory), 'utf8').catch(() => '0'));
}

async function makeAndFetch(url: string, gitDirectory: string, signal?: AbortSignal): Promise<void> {
  const init = ['init', '--bare', '--quiet', '--initial-branch=main'];
  await git(init, { inspect: gitDirectory }, { signal });
  try {
    await fetch(url, gitDirectory, signal);
  } catch (error) {
    // How a remote makes its ids is only known from its answer. A mirror that has anything is kept as it is.
    if (!(error instanceof Error && /mismatched algorithms/.test(error.message))) throw error;
    if ((await git(['for-each-ref', '--count=1'], { gitDirectory }, { signal })) !== '') throw error;
    await Promise.all((await readdir(gitDirectory)).map((name) => removeTree(join(gitDirectory, name))));
    await git([...init, '--object-format=sha256'], { inspect: gitDirectory }, { signal });
    await fetch(url, gitDirectory, signal);
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && /\.lock': File exists|could not lock config file/.test(error.message);
}

/** What only a fetch writes is locked by one alone, and we have the lock of fetches: git waited a second, so one that was killed has left these. */
async function removeLocks(gitDirectory: string): Promise<void> {
  const locks = ['config.lock', 'packed-refs.lock', 'shallow.lock'];
  for (const directory of ['refs/remotes', 'refs/tags']) {
    const names = await readdir(join(gitDirectory, directory), { recursive: true }).catch(() => []);
    locks.push(...names.filter((name) => name.endsWith('.lock')).map((name) => join(directory, name)));
  }
  for (const lock of locks) await rm(join(gitDirectory, lock), { force: true });
}

const refs = ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'];

const network = [
  'protocol.https.allow=always',
  'protocol.ssh.allow=always',
  'protocol.file.allow=always',
  // A transfer that stands still ends after a minute.
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=60',
];

/** What a fetch needs of the machine besides the repository: its way out, and the keys of its ssh agent. */
const inherited =
  'https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO SSH_AUTH_SOCK'.split(
    ' ',
  );

async function fetch(url: string, gitDirectory: string, signal?: AbortSignal): Promise<void> {
  const env: Record<string, string> = { GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=30' };
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  const { address, answered, known } = remoteOf(url);
  const flags = ['--quiet', '--prune', '--no-write-fetch-head', '--no-recurse-submodules', '--no-auto-gc', '--no-tags'];
  try {
    const options = { config: [...network, ...answered], env: { ...env, ...known }, signal };
    await git(['fetch', ...flags, '--', address, ...refs], { gitDirectory }, options);
  } catch (error) {
    if (error instanceof GitFailed) throw explained(url, error);
    throw error;
  }
}

/** A remote as git is told of it. Every user of the machine can read the words of a command; its environment only who may read ours. */
interface Remote {
  address: string;
  /** Settings by which git finds the credentials. */
  answered: string[];
  /** Variables that hold them. */
  known: Record<string, string>;
}

const [user, password] = ['AGENT_CELLS_GIT_USER', 'AGENT_CELLS_GIT_PASSWORD'];

/** A program that answers when git asks for credentials: in its words there are the names of variables alone. */
const helper = `!f() { printf 'username=%s\\npassword=%s\\n' "$${user}" "$${password}"; }; f`;

/**
 * Takes the credentials out of a URL, for git to ask for them. With `url.<…>.insteadOf` they would be words of the program that git
 * starts for the transfer, and a header of ours would go along to wherever git is redirected.
 */
function remoteOf(url: string): Remote {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'https:' || parsed.username + parsed.password === '')
    return { address: url, answered: [], known: {} };
  return {
    // Some user, in whose place the helper names another: with that, and `emptyAuth`, git asks before its first request. Where it asks
    // only after that was refused, it does not learn from the next one that the repository has moved.
    address: withoutCredentials(url).replace('//', '//agent-cells@'),
    answered: ['http.emptyAuth=true', `credential.${parsed.origin}.helper=${helper}`],
    known: { [user]: decodeURIComponent(parsed.username), [password]: decodeURIComponent(parsed.password) },
  };
}

const passing =
  /resolve host|timed out|timeout|connect|unexpected disconnect|early EOF|RPC failed|returned error: (429|5\d\d)/i;

/** The network's troubles pass, and may be tried again; that there is no such repository does not. */
function explained(url: string, error: GitFailed): Error {
  const message = withoutCredentials(`${url} could not be fetched: ${error.message}`);
  return passing.test(error.message)
    ? new Error(message, { cause: error })
    : new RepositoryError(message, { cause: error });
}
