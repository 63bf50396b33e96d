import { join } from 'node:path';
import { UnfitWorktree } from './errors.ts';

/**
 * A name of a file as git gives it, relative to the worktree. File systems know bytes and not text,
 * so each character stands for one byte (latin1), and two names never become one.
 */
export type RawName = string;

/** Each takes some dozens of bytes of memory, however short it is, and lists of them are made of lists. */
const mostNames = 4_000_000;

/** Splits the NUL-separated output of git. @throws UnfitWorktree when there are more names than that */
export function splitNames(output: Buffer, most = mostNames): RawName[] {
  let names = 0;
  for (let end = output.indexOf(0); end !== -1; end = output.indexOf(0, end + 1)) {
    names += 1;
    if (names > most)
      throw new UnfitWorktree(
        `the agent left too many names of files in its worktree (more than ${most}): have it remove them`,
      );
  }
  return output
    .toString('latin1')
    .split('\0')
    .filter((name) => name !== '');
}

/** The NUL-separated form in which git takes names. */
export function joinNames(names: readonly RawName[]): Buffer {
  return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
}

/** The name as text, for people and for globs. */
export function readable(name: RawName): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** The path of a file in a directory, as the bytes that the file system knows it by. */
export function pathOf(directory: string, name: RawName): Buffer {
  return Buffer.concat([Buffer.from(join(directory, '/')), Buffer.from(name, 'latin1')]);
}
