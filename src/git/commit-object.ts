import { git } from './git.ts';

export interface CommitWanted {
  gitDirectory: string;
  /** The tree that was tested. */
  tree: string;
  /** The one parent. */
  baseCommit: string;
  message: string;
  /** Milliseconds since the epoch. The caller fixes it, so that a second run makes the very same commit. */
  date: number;
  signal?: AbortSignal | undefined;
}

/** Writes a commit object, with an author of our own; nothing refers to it yet. Answers its id. */
export async function writeCommit({
  gitDirectory,
  tree,
  baseCommit,
  message,
  date,
  signal,
}: CommitWanted): Promise<string> {
  const seconds = `@${Math.floor(date / 1000)} +0000`;
  const env = { GIT_AUTHOR_DATE: seconds, GIT_COMMITTER_DATE: seconds };
  // git refuses NUL; the line break at the end makes even an empty message something to read.
  const input = `${message.replaceAll('\0', '').trimEnd()}\n`;
  return (await git(['commit-tree', '-p', baseCommit, tree], { gitDirectory }, { input, env, signal })).trim();
}
