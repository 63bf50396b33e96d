import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { UnfitWorktree } from './errors.ts';
import type { RawName } from './names.ts';

/** How long the names of a worktree may take, milliseconds: hundreds of thousands, against dozens of globs, take half of that. */
const longest = 60_000;

/** What is asked of the thread that matches. */
export interface NamesWanted {
  /** Relative to the worktree. */
  globs: readonly string[];
  names: readonly RawName[];
}

/**
 * Those of the names that a glob stands for. They are matched in a thread of their own and for a time only: an agent can choose names
 * that take a harmless glob minutes each, in which the worker would do nothing else.
 *
 * @throws UnfitWorktree when they take longer
 */
export async function protectedNames(
  wanted: NamesWanted,
  signal: AbortSignal = new AbortController().signal,
  longestMs = longest,
): Promise<RawName[]> {
  signal.throwIfAborted();
  const tooLong = AbortSignal.timeout(longestMs);
  await using thread = new Worker(new URL(`./protected-names-thread${extname(import.meta.url)}`, import.meta.url), {
    workerData: wanted,
  });
  try {
    const [names] = (await once(thread, 'message', { signal: AbortSignal.any([signal, tooLong]) })) as [RawName[]]; // what the thread posts
    return names;
  } catch (cause) {
    signal.throwIfAborted();
    if (!tooLong.aborted) throw cause;
    throw new UnfitWorktree(
      `the agent left in its worktree names of files that take longer than ${longestMs / 1000} seconds to compare with protectedPaths: have it remove them, or give simpler globs`,
      { cause },
    );
  }
}
