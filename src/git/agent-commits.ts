import { git, GitFailed } from './git.ts';
import { adminDirectory } from './worktree-paths.ts';

/** A commit that the agent made by itself: its message may tell what the one commit of the cell does not. */
export interface AgentCommit {
  commit: string;
  /** Subject and body. */
  message: string;
}

/**
 * The commits on the worktree's HEAD since the base, the latest first and at most 200; none when the HEAD is broken.
 * Their trees are of no interest: what counts is the tree of the worktree.
 */
export async function agentCommits(wanted: {
  gitDirectory: string;
  worktree: string;
  baseCommit: string;
  signal?: AbortSignal | undefined;
}): Promise<AgentCommit[]> {
  const { gitDirectory, worktree, baseCommit, signal } = wanted;
  const admin = adminDirectory({ gitDirectory, path: worktree });
  const flags = ['-z', '--max-count=200', '--format=%H%n%B', '--no-color', '--no-mailmap', '--encoding=UTF-8'];
  try {
    const output = await git(['log', ...flags, `${baseCommit}..HEAD`, '--'], { gitDirectory: admin }, { signal });
    return output
      .split('\0')
      .filter((entry) => entry !== '')
      .map(parse);
  } catch (error) {
    if (error instanceof GitFailed) return [];
    throw error;
  }
}

function parse(entry: string): AgentCommit {
  const end = entry.indexOf('\n');
  return { commit: entry.slice(0, end), message: entry.slice(end + 1).trimEnd() };
}
