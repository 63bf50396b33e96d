import { perform } from '../runner/runner.ts';
import { gitWork } from './run-git.ts';

/**
 * Where git works. The git directory is always named and never looked for, since an agent may have replaced what git
 * would find; only the caller's own repository is looked at (`inspect`), and there only at that very directory.
 */
export type Place =
  | {
      gitDirectory: string;
      workTree?: string;
      /** Our own index instead of the one of the git directory. */
      indexFile?: string;
      /** Where objects are, when not in the git directory. */
      objectDirectory?: string;
    }
  | { inspect: string };

export interface GitOptions {
  /** Given to git on its standard input; must not be empty. */
  input?: string | Buffer;
  /** More `name=value` settings for this call. */
  config?: readonly string[];
  /** More environment variables for this call. */
  env?: Readonly<Record<string, string>>;
  /** Fails where git warns that it left something out, which it does not count as a failure. */
  complete?: boolean;
  /** What it may write at most, bytes; default 256 MiB. Then it is ended. */
  mostBytes?: number;
  signal?: AbortSignal | undefined;
}

/** git ended with something other than 0. The message is what git said. */
export class GitFailed extends Error {
  override readonly name: string = 'GitFailed';
  /** Null when a signal ended git. */
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** git was ended: it wrote more than it may. */
export class GitWroteTooMuch extends GitFailed {
  override readonly name = 'GitWroteTooMuch';
}

/**
 * Runs git on the host with the user's and the machine's configuration out of the way; no hook, helper but our own, pager or monitor runs.
 * Every call to git goes through here. Answers the standard output; throws `GitFailed` unless git ended with 0, `GitWroteTooMuch` when it wrote too much,
 * and the signal's reason when it was aborted.
 */
export async function git(args: readonly string[], place: Place, options: GitOptions = {}): Promise<string> {
  return (await gitBytes(args, place, options)).toString('utf8');
}

/** As `git`, with the output as bytes: names of files need not be UTF-8. */
export async function gitBytes(
  args: readonly string[],
  place: Place,
  { signal, ...options }: GitOptions = {},
): Promise<Buffer> {
  const ended = await perform(gitWork, { args, place, options }, signal);
  if ('wroteMoreThan' in ended)
    throw new GitWroteTooMuch(`git ${args[0] ?? ''} wrote more than ${ended.wroteMoreThan} bytes, and was ended`, null);
  if ('failed' in ended) throw new GitFailed(ended.failed, ended.exitCode);
  const { buffer, byteOffset, byteLength } = ended.output;
  return Buffer.from(buffer, byteOffset, byteLength);
}
