import { join } from 'node:path';

/**
 * A name of a file as git gives it, relative to the worktree. File systems know bytes and not text,
 * so each character stands for one byte (latin1), and two names never become one.
 */
export type RawName = string;

/** Splits the NUL-separated output of git. */
export function splitNames(output: Buffer): RawName[] {
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
