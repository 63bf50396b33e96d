import { lstat, readFile } from 'node:fs/promises';
import { git, gitBytes, GitWroteTooMuch, type Place } from './git.ts';
import { pathOf, type RawName, splitNames } from './names.ts';

interface Entry {
  name: RawName;
  /** After the change. */
  mode: string;
  /** Of the blob before the change. */
  id: string;
}

/** Compares a worktree with its index by contents, not by times; of submodules, whether they are there. */
export const worktreeChanges = ['diff', '--no-ext-diff', '--no-abbrev', '--ignore-submodules=dirty'] as const;

/**
 * Splits what a comparison of git calls changed into files that have the very bytes of the blob, or those that a checkout of it writes,
 * and files that differ. The former come of attributes that convert line ends of files that were committed without: git calls
 * them changed whenever it reads them, though nobody touched them. A file with another mode differs, and is among the former as well
 * when its bytes are the same: what was changed of it is the mode alone.
 */
export async function splitByBytes(
  place: Place & { workTree: string },
  comparison: readonly string[],
  signal?: AbortSignal,
): Promise<{ same: Entry[]; different: RawName[] }> {
  const compare = [...comparison, '--raw', '--no-renames', '-z'];
  const raw = splitNames(await gitBytes(compare, place, { complete: true, signal }));
  const entries = raw.flatMap((line, index) => {
    const name = raw[index + 1];
    const [before = '', mode = '', id = ''] = line.split(' ');
    return index % 2 === 0 && name !== undefined
      ? [{ name, mode, id, sameMode: before === `:${mode}`, modified: line.endsWith(' M') }]
      : [];
  });
  // git takes these names by line, with quotes that mean something, and drops a carriage return at the end; a file with such a name counts as changed.
  const comparable = entries.filter(
    ({ name, mode, modified }) => modified && mode.startsWith('100') && !/^"|\n|\r$/.test(name),
  );
  const candidates = await onlyFiles(place, comparable);
  const ids = await idsOf(
    place,
    candidates.map(({ name }) => name),
    signal,
  );
  const same: Entry[] = [];
  for (const [index, entry] of candidates.entries()) {
    if (entry.id === ids[index] || (await isAsCheckedOut(place, entry, signal))) same.push(entry);
  }
  const sameBytes = new Set(same.map(({ name }) => name));
  const different = entries.filter(({ name, sameMode }) => !sameMode || !sameBytes.has(name));
  return { same, different: different.map(({ name }) => name) };
}

/** git would follow a link, and wait at a pipe for somebody to write. */
async function onlyFiles(place: { workTree: string }, entries: readonly Entry[]): Promise<Entry[]> {
  const files: Entry[] = [];
  for (const entry of entries) {
    const found = await lstat(pathOf(place.workTree, entry.name)).catch(() => null);
    if (found?.isFile()) files.push(entry);
  }
  return files;
}

/** Larger files are not looked at so closely, bytes. */
const mostRead = 64 * 1024 ** 2;
/** The line about a blob has its id, what it is and its size, bytes; git may remark on it besides. */
const longestAbout = 4096;

/** Only a checkout that makes all line ends CRLF writes what git then calls changed, for blobs in which some were so before. */
async function isAsCheckedOut(
  place: Place & { workTree: string },
  { name, id }: Entry,
  signal?: AbortSignal,
): Promise<boolean> {
  const path = pathOf(place.workTree, name);
  // git drops white space before a name.
  if (/^\s/.test(name) || (await lstat(path)).size > mostRead) return false;
  const bytes = await readFile(path);
  const text = bytes.toString('latin1');
  if (!text.includes('\r\n') || /(?<!\r)\n/.test(text)) return false;
  // The filters are those of git itself: the configuration of `place` is ours, and names no program.
  const input = Buffer.from(`${id} ${name}\n`, 'latin1');
  // A line about the blob comes first, and a line feed last. A blob that is larger than the file, by far perhaps, need not be read to its end.
  const mostBytes = bytes.length + longestAbout;
  const output = await gitBytes(['cat-file', '--batch', '--filters'], place, { input, mostBytes, signal }).catch(
    (error: unknown) => {
      if (error instanceof GitWroteTooMuch) return null;
      throw error;
    },
  );
  return output !== null && output.subarray(output.indexOf('\n') + 1, -1).equals(bytes);
}

/** Makes the index have these entries. */
export async function writeEntries(place: Place, entries: readonly Entry[], signal?: AbortSignal): Promise<void> {
  if (entries.length === 0) return;
  const input = Buffer.from(entries.map(({ mode, id, name }) => `${mode} ${id}\t${name}\0`).join(''), 'latin1');
  await git(['update-index', '-z', '--index-info'], place, { input, signal });
}

async function idsOf(place: Place, names: readonly RawName[], signal?: AbortSignal): Promise<string[]> {
  if (names.length === 0) return [];
  const input = Buffer.from(names.map((name) => `${name}\n`).join(''), 'latin1');
  return (await git(['hash-object', '--no-filters', '--stdin-paths'], place, { input, signal })).split('\n');
}
