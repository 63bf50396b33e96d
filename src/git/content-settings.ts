import { git, GitFailed } from './git.ts';

/**
 * The settings of a repository that say how the bytes of a file on disk stand to those in git, and who may read what is written.
 * No other setting of a caller's repository is needed to read or write a worktree, and none of these names a program or a file.
 * `safecrlf` is not among them: with it git refuses files over line ends, which a person could mend and nobody here can.
 */
const names = ['autocrlf', 'eol', 'filemode', 'sharedrepository'];

/** Those that are set, as the text of a configuration file. */
export async function contentSettings(gitDirectory: string, signal?: AbortSignal): Promise<string> {
  const query = ['config', '--null', '--get-regexp', `^core\\.(${names.join('|')})$`];
  const output = await git(query, { gitDirectory }, { signal }).catch((error: unknown) => {
    // There is none.
    if (error instanceof GitFailed && error.exitCode === 1) return '';
    throw error;
  });
  const lines = output.split('\0').flatMap((entry) => {
    const found = /^core\.(\w+)(?:\n(\w*))?$/.exec(entry);
    // A name without a value means yes.
    return found === null ? [] : [`\t${found[1]} = ${found[2] ?? 'true'}\n`];
  });
  return lines.length === 0 ? '' : `[core]\n${lines.join('')}`;
}
