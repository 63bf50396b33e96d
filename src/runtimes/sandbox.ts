import { lstat, readlink } from 'node:fs/promises';
import { hostsFile, insidePaths, insideTargets } from './in-cell.ts';
import type { Confinement } from './runtime.ts';

/** The programs that a sandbox is made of, by their paths. */
export interface SandboxPrograms {
  bwrap: string;
  /** Needed where each cell has a user of its own. */
  setpriv: string | null;
  /** Needed where the size of files is limited. */
  prlimit: string | null;
}

export interface Sandbox {
  command: [string, ...string[]];
  /** What it reads from the descriptors 3, 4, … */
  inputs: (string | Uint8Array)[];
}

/** Who the processes of a cell are to themselves. */
const inside = { id: 1000, name: 'cell' };

/** Size of `/tmp`, `/var/tmp` and `/dev/shm` inside, bytes each. They are memory, and count as such. */
export const temporaryBytes = 256 * 1024 * 1024;

/** What programs look for in `/etc`, beside what is made for the cell; nothing of it is secret. */
export const ofEtc = [
  'alternatives',
  'bash.bashrc',
  'ca-certificates',
  'crypto-policies',
  'environment',
  'fonts',
  'java-17-openjdk',
  'java-21-openjdk',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'mime.types',
  'pki/tls',
  'profile',
  'profile.d',
  'protocols',
  'services',
  'ssl/certs',
  'ssl/openssl.cnf',
  'terminfo',
  'timezone',
].map((name) => `/etc/${name}`);

/** Where, in the mount namespace in between, a cell's user finds what it may have. */
const handed = '/run/cell-sources';

/**
 * The bubblewrap call that runs a command in a sandbox.
 *
 * Where the cell has a user of its own there are two of them: the outer one is root's, and does nothing but show the directories of
 * the cell where that user may go, since the way to the state directory is closed to it; the inner one is that user's, and is the
 * sandbox. A sandbox that root makes itself would leave files behind that are root's and setuid.
 */
export async function sandboxOf(
  command: readonly [string, ...string[]],
  directory: string,
  confinement: Confinement,
  programs: SandboxPrograms,
  user: number | null,
  filter: Uint8Array | null,
): Promise<Sandbox> {
  const { inputs, add } = collectInputs();
  const binds = bindsOf(confinement);
  const sources = user === null ? binds : binds.map((bind, index) => ({ ...bind, source: `${handed}/${index}` }));
  const outer = user === null ? null : add(words(handOver(binds)));
  const inner = add(
    words([
      ...namespaces,
      ...(filter === null ? [] : ['--seccomp', add(filter)]),
      ...(confinement.allow.length > 0 && insideTargets(confinement.allow).some(({ port }) => port < 1024)
        ? ['--cap-add', 'CAP_NET_BIND_SERVICE']
        : []),
      ...(await systemArguments()),
      ...file('/etc/passwd', add(`${inside.name}:x:${inside.id}:${inside.id}::/tmp:/bin/bash\n`)),
      ...file('/etc/group', add(`${inside.name}:x:${inside.id}:\n`)),
      ...file('/etc/nsswitch.conf', add('passwd: files\ngroup: files\nhosts: files\n')),
      ...file('/etc/hosts', add(hostsFile(confinement.allow))),
      ...sources.flatMap(({ option, source, target }) => [option, source, target]),
      '--remount-ro',
      '/',
      '--chdir',
      directory,
    ]),
  );
  const sandbox: [string, ...string[]] = [programs.bwrap, '--args', inner, '--', ...command];
  const limited = (words: [string, ...string[]]) => withFileSize(words, confinement.limits.disk, programs);
  if (user === null || outer === null) return { command: limited(keeper(sandbox)), inputs };
  if (programs.setpriv === null)
    throw new Error('there is no setpriv, without which a cell cannot have a user of its own');
  const dropped = [programs.setpriv, ...asUser(user), ...sandbox];
  return { command: limited([programs.bwrap, '--args', outer, '--', ...dropped]), inputs };
}

/**
 * Set around the sandbox, and inherited by all that is in it: who has no capability outside cannot raise it again. By `prlimit`, whose
 * unit is the byte; that of `ulimit -f` depends on the shell.
 */
function withFileSize(
  words: [string, ...string[]],
  bytes: number | null,
  { prlimit }: SandboxPrograms,
): [string, ...string[]] {
  if (bytes === null) return words;
  if (prlimit === null) throw new Error('there is no prlimit, without which the files of a cell cannot be limited');
  return [prlimit, `--fsize=${bytes}`, '--', ...words];
}

function collectInputs() {
  const inputs: (string | Uint8Array)[] = [];
  const add = (input: string | Uint8Array): string => String(inputs.push(input) + 2);
  return { inputs, add };
}

/** Arguments as bubblewrap reads them from a descriptor: there they have no limit, and no list of processes shows them. */
const words = (list: readonly string[]): string => list.map((word) => `${word}\0`).join('');

/** Ended by signals and in no terminal of ours; the whole of it ends when what is above it does. */
const namespaces = [
  '--unshare-user',
  '--unshare-all',
  '--disable-userns',
  '--uid',
  String(inside.id),
  '--gid',
  String(inside.id),
  '--hostname',
  inside.name,
  '--die-with-parent',
  '--new-session',
];

/**
 * A shell of nothing but the parent that a sandbox dies with: it, and not the worker. So a worker that ends takes no cell along, and
 * whoever ends this shell ends the sandbox.
 */
const keeper = (sandbox: readonly string[]): [string, ...string[]] => [
  '/bin/sh',
  '-c',
  '"$@" & wait $!',
  'cell',
  ...sandbox,
];

const asUser = (user: number): string[] => [
  `--reuid=${user}`,
  `--regid=${user}`,
  '--clear-groups',
  '--inh-caps=-all',
  '--bounding-set=-all',
  '--no-new-privs',
];

interface Bind {
  option: '--bind' | '--ro-bind';
  source: string;
  target: string;
}

function bindsOf({ writable, readable, inlet, outlet }: Confinement): Bind[] {
  return [
    ...(inlet === null ? [] : [{ option: '--bind' as const, source: inlet, target: insidePaths.inlet }]),
    ...(outlet === null ? [] : [{ option: '--ro-bind' as const, source: outlet, target: insidePaths.outlet }]),
    ...writable.map((path) => ({ option: '--bind' as const, source: path, target: path })),
    ...readable.map((bind) => ({ option: '--ro-bind' as const, ...bind })),
  ];
}

const handOver = (binds: readonly Bind[]): string[] => [
  '--dev-bind',
  '/',
  '/',
  '--tmpfs',
  '/run',
  '--perms',
  '0755',
  '--dir',
  handed,
  ...binds.flatMap(({ option, source }, index) => [option, source, `${handed}/${index}`]),
  '--chdir',
  '/',
];

const file = (path: string, descriptor: string): string[] => ['--perms', '0444', '--ro-bind-data', descriptor, path];

/** The system, read-only, and what every program takes for granted. */
async function systemArguments(): Promise<string[]> {
  const top = await Promise.all(['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].map(topLevel));
  const sized = (path: string) => ['--perms', '1777', '--size', String(temporaryBytes), '--tmpfs', path];
  return [
    '--ro-bind',
    '/usr',
    '/usr',
    ...top.flat(),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    ...sized('/dev/shm'),
    ...sized('/tmp'),
    ...sized('/var/tmp'),
    ...ofEtc.flatMap((path) => ['--ro-bind-try', path, path]),
  ];
}

/** On most hosts a link into `/usr`, on older ones a directory. */
async function topLevel(path: string): Promise<string[]> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return [];
  return found.isSymbolicLink() ? ['--symlink', await readlink(path), path] : ['--ro-bind', path, path];
}
