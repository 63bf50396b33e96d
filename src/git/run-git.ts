import { dirname } from 'node:path';
import { GitError, GitPluginError, simpleGit } from 'simple-git';
import type { Work } from '../runner/work.ts';
import type { GitOptions, Place } from './git.ts';

export interface GitCall {
  args: readonly string[];
  place: Place;
  options: Omit<GitOptions, 'signal'>;
}

/** The output, or what git said and ended with, or that it was ended since it wrote too much. */
export type GitEnded = { output: Uint8Array } | { failed: string; exitCode: number | null } | { wroteMoreThan: number };

/**
 * What git may write, bytes: all of it is kept in memory, several times over. A million names of files have half of that; those that an agent
 * makes can have 4 KiB each, and be millions.
 */
const mostWritten = 256 * 1024 ** 2;

class Failed extends GitError {
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null) {
    super(undefined, message);
    this.exitCode = exitCode;
  }
}

/** One call of git. */
export const gitWork: Work<GitCall, GitEnded> = { name: 'git', run: runGit };

async function runGit({ args, place, options }: GitCall, signal: AbortSignal | undefined): Promise<GitEnded> {
  const chunks: Buffer[] = [];
  const said: Buffer[] = [];
  const environment = environmentOf(place, options.env ?? {});
  const { input, mostBytes = mostWritten } = options;
  const tooMuch = new AbortController();
  let written = 0;
  const gather = (into: Buffer[]) => (chunk: Buffer) => {
    written += chunk.length;
    if (written <= mostBytes) into.push(chunk);
    else tooMuch.abort();
  };
  const runner = simpleGit({
    baseDir: directoryOf(place),
    config: [...settings, ...(options.config ?? [])],
    allowEnvironment: Object.keys(environment),
    unsafe: permitted,
    // The default settles 50 ms after the exit, when output may still be on its way.
    completion: { onClose: true, onExit: false },
    errors: (error, { exitCode, stdErr }) =>
      error instanceof GitPluginError || exitCode === 0 ? error : new Failed(saidBy(stdErr, args, exitCode), exitCode),
    ...(input === undefined ? {} : { input: () => (typeof input === 'string' ? input : Buffer.from(input)) }),
    abort: signal === undefined ? tooMuch.signal : AbortSignal.any([signal, tooMuch.signal]),
  });
  runner.env(environment).outputHandler((_command, output, remarks) => {
    remarks.on('data', gather(said));
    output.on('data', gather(chunks));
    // After a command that wrote nothing simple-git waits for 50 ms: with this it counts as having written nothing late.
    output.once('end', () => output.emit('data', Buffer.alloc(0)));
  });
  try {
    await runner.raw([...directories(place), ...args]);
  } catch (error) {
    signal?.throwIfAborted();
    if (tooMuch.signal.aborted) return { wroteMoreThan: mostBytes };
    if (error instanceof Failed) return { failed: error.message, exitCode: error.exitCode };
    throw error;
  }
  // It may have ended by itself before it could be ended.
  if (tooMuch.signal.aborted) return { wroteMoreThan: mostBytes };
  const missing = options.complete === true ? leftOut.exec(Buffer.concat(said).toString('utf8')) : null;
  if (missing) return { failed: shortened(missing[0], 500), exitCode: 0 };
  return { output: Buffer.concat(chunks) };
}

/** A directory that cannot be read counts as empty, and files of one that cannot be entered as they were. */
const leftOut = /^warning: could not open directory .*|^.*: Permission denied$/m;

const settings = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.pager=cat',
  'core.askPass=',
  'credential.helper=',
  'commit.gpgSign=false',
  'log.showSignature=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'diff.ignoreSubmodules=all',
  'submodule.recurse=false',
  'protocol.allow=never',
  // A cell sees all of its repository, and its index stands alone and is compared by everything the file system tells.
  'core.sparseCheckout=false',
  'core.splitIndex=false',
  'core.untrackedCache=false',
  'core.trustctime=true',
  'core.checkStat=default',
  // Names that other systems take for .git are refused on this one too.
  'core.protectHFS=true',
  'core.protectNTFS=true',
  // Only branches and refs of our own are written, and they need no log.
  'core.logAllRefUpdates=false',
  'core.filesRefLockTimeout=1000',
  'core.packedRefsTimeout=1000',
  'i18n.commitEncoding=UTF-8',
  // It has none, and is told so by a file that git remarks on.
  'advice.graftFileDeprecated=false',
];

/** What simple-git guards against in the arguments of strangers; here these settings switch the same things off. */
const permitted = {
  allowUnsafeConfigPaths: true,
  allowUnsafeHooksPath: true,
  allowUnsafeFsMonitor: true,
  allowUnsafePager: true,
  allowUnsafeAskPass: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeTemplateDir: true,
};

function environmentOf(place: Place, more: Readonly<Record<string, string>>): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CEILING_DIRECTORIES: dirname(directoryOf(place)),
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_LAZY_FETCH: '1',
    GIT_LITERAL_PATHSPECS: '1',
    // An object is what its id says, whatever a ref of an agent would put in its place.
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_GRAFT_FILE: '/dev/null',
    GIT_AUTHOR_NAME: 'agent-cells',
    GIT_AUTHOR_EMAIL: 'agent-cells@localhost',
    GIT_COMMITTER_NAME: 'agent-cells',
    GIT_COMMITTER_EMAIL: 'agent-cells@localhost',
    ...('gitDirectory' in place && place.indexFile !== undefined ? { GIT_INDEX_FILE: place.indexFile } : {}),
    ...('gitDirectory' in place && place.objectDirectory !== undefined
      ? { GIT_OBJECT_DIRECTORY: place.objectDirectory }
      : {}),
    ...more,
  };
}

function directoryOf(place: Place): string {
  return 'inspect' in place ? place.inspect : (place.workTree ?? place.gitDirectory);
}

function directories(place: Place): string[] {
  if ('inspect' in place) return [];
  return [
    `--git-dir=${place.gitDirectory}`,
    ...(place.workTree === undefined ? [] : [`--work-tree=${place.workTree}`]),
  ];
}

function saidBy(output: readonly Buffer[], args: readonly string[], exitCode: number | null): string {
  const text = Buffer.concat(output).toString('utf8').trim();
  if (text === '') return `git ${args[0] ?? ''} ended with ${exitCode ?? 'a signal'} and said nothing`;
  // A name in a line may be as long as a path can be, and there may be a line for each of many.
  return shortened(
    text
      .split('\n')
      .map((line) => shortened(line, 500))
      .join('\n'),
    4000,
  );
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length / 2)} … ${text.slice(-length / 2)}`;
}
