import type { FileChange } from '../domain/outcome.ts';
import { git, gitBytes } from './git.ts';
import { type RawName, readable } from './names.ts';

/** What differs between two commits or trees, by file, renames found; binary files have `null` counts. */
export async function fileChanges(
  gitDirectory: string,
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<FileChange[]> {
  const output = await gitBytes([...compare, '--raw', '--numstat', '-z', from, to], { gitDirectory }, { signal });
  const tokens = output.toString('latin1').split('\0');
  const changes = new Map<RawName, FileChange['change']>();
  const counted: FileChange[] = [];
  for (let token = tokens.shift(); token !== undefined && token !== ''; token = tokens.shift()) {
    if (token.startsWith(':')) readKind(token, tokens, changes);
    else counted.push(readCounts(token, tokens, changes));
  }
  return counted;
}

/** Writes the whole difference, binary files too, as a patch that `git apply` takes. */
export async function writeDiff(
  gitDirectory: string,
  from: string,
  to: string,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  await git(
    [...compare, '--patch', '--binary', '--full-index', `--output=${file}`, from, to],
    { gitDirectory },
    { signal },
  );
}

const compare = ['diff-tree', '-r', '--find-renames', '--no-ext-diff', '--no-textconv'];

/** `:<mode> <mode> <id> <id> <status>`, then the name, or for a rename the old and the new name. */
function readKind(token: string, rest: string[], changes: Map<RawName, FileChange['change']>): void {
  const status = token.slice(token.lastIndexOf(' ') + 1, token.lastIndexOf(' ') + 2);
  const name = rest.shift() ?? '';
  if (status === 'R') changes.set(rest.shift() ?? '', 'renamed');
  else changes.set(name, status === 'A' ? 'added' : status === 'D' ? 'deleted' : 'modified');
}

/** `<additions>\t<deletions>\t<name>`, the name empty for a rename and then the old and the new name. */
function readCounts(token: string, rest: string[], changes: ReadonlyMap<RawName, FileChange['change']>): FileChange {
  const [additions = '-', deletions = '-', ...parts] = token.split('\t');
  let name = parts.join('\t');
  if (name === '') {
    rest.shift();
    name = rest.shift() ?? '';
  }
  return {
    path: readable(name),
    change: changes.get(name) ?? 'modified',
    additions: count(additions),
    deletions: count(deletions),
  };
}

function count(text: string): number | null {
  return text === '-' ? null : Number(text);
}
