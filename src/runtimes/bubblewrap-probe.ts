import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import which from 'which';
import type { GroupRoot } from './cgroup-root.ts';
import type { FoundLimitRoot } from './limit-root.ts';
import { countsInNamespaces } from './process-limit.ts';
import type { Probe } from './runtime.ts';

const execute = promisify(execFile);

/** The first version that can forbid further user namespaces inside. */
const oldest = [0, 8];

export interface BubblewrapHost {
  limitRoot: FoundLimitRoot;
  groupRoot: GroupRoot;
  /** Whether there is a filter of system calls for this processor. */
  filtered: boolean;
}

/** Whether cells can run in bubblewrap here: the programs are there, and a sandbox comes up. */
export async function probeBubblewrap(host: BubblewrapHost): Promise<Probe> {
  if (process.platform !== 'linux')
    return { usable: false, why: `${process.platform} has no namespaces`, try: 'run the worker on Linux' };
  const isRoot = process.getuid?.() === 0;
  const needed = ['bwrap', 'socat', 'prlimit', ...(isRoot ? ['setpriv', 'chown'] : [])];
  const found = await Promise.all(needed.map((name) => which(name, { nothrow: true })));
  const missing = needed.filter((_, index) => found[index] === null);
  if (missing.length > 0)
    return {
      usable: false,
      why: `not on the PATH: ${missing.join(', ')}`,
      try: 'install bubblewrap, socat and util-linux, with apt-get install bubblewrap socat util-linux, say',
    };
  const version = (await execute('bwrap', ['--version'])).stdout.trim();
  if (!isNewEnough(version))
    return { usable: false, why: `${version} is too old`, try: `install bubblewrap ${oldest.join('.')} or newer` };
  const refusal = await whyNoSandbox(isRoot);
  if (refusal !== null) return { usable: false, why: `no sandbox can be made: ${refusal}`, try: await remedy(refusal) };
  return { usable: true, notes: notesOf(host, isRoot, version) };
}

function isNewEnough(text: string): boolean {
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest;
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** As the user of a cell would: for root that is another one. */
async function whyNoSandbox(isRoot: boolean): Promise<string | null> {
  const sandbox = [
    'bwrap',
    '--unshare-user',
    '--unshare-all',
    '--disable-userns',
    '--ro-bind',
    '/',
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    'true',
  ];
  const asSomebody = ['setpriv', '--reuid=1073741823', '--regid=1073741823', '--clear-groups', '--no-new-privs'];
  const [program = '', ...words] = isRoot ? [...asSomebody, ...sandbox] : sandbox;
  try {
    await execute(program, words, { timeout: 10_000 });
    return null;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    return said === '' ? String(error) : said;
  }
}

async function remedy(refusal: string): Promise<string> {
  const restricted = await readFile('/proc/sys/kernel/apparmor_restrict_unprivileged_userns', 'utf8').catch(() => '0');
  if (restricted.trim() === '1')
    return 'let bubblewrap make user namespaces: an AppArmor profile for it, or sysctl kernel.apparmor_restrict_unprivileged_userns=0';
  const allowed = await readFile('/proc/sys/kernel/unprivileged_userns_clone', 'utf8').catch(() => '1');
  if (allowed.trim() === '0') return 'allow user namespaces: sysctl kernel.unprivileged_userns_clone=1';
  return /Operation not permitted|EPERM|uid map/.test(refusal)
    ? 'allow user namespaces to users; in a container, start it with --security-opt seccomp=unconfined and apparmor=unconfined, or run the worker outside'
    : 'see what bubblewrap says';
}

function withoutGroups(why: string): string {
  const looked = 'memory is limited by looking at it some times a second';
  return countsInNamespaces()
    ? `${looked}, the number of processes by the kernel for the server and each command, and processors are not limited: ${why}`
    : `${looked}; processors and the number of processes are not limited: ${why}`;
}

function notesOf({ limitRoot, groupRoot, filtered }: BubblewrapHost, isRoot: boolean, version: string): string[] {
  return [
    `${version}: a cell sees the system read-only, its own files and its own processes, and has no network but its model`,
    isRoot
      ? 'each cell has a user id of its own'
      : 'all cells run as the user of the worker, in namespaces of their own: a fault of the kernel or of bubblewrap would put one cell in reach of the others',
    filtered
      ? 'a filter keeps system calls out that programs do not need'
      : `there is no filter of system calls for ${process.arch}`,
    limitRoot.root === null
      ? withoutGroups(limitRoot.why)
      : `memory, processors and number of processes are limited by control groups (version ${limitRoot.root.version})`,
    groupRoot.root === null
      ? `a cell ends with its process namespace, and its processes are found by markers (${groupRoot.why})`
      : 'a cell ends with its process namespace, and its processes are found by control group and by markers',
  ];
}
