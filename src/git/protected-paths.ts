import picomatch from 'picomatch';
import { git, gitBytes, type Place } from './git.ts';
import { joinNames, pathOf, type RawName, readable, splitNames } from './names.ts';
import { removeTree } from './remove-worktree.ts';
import { splitByBytes, worktreeChanges } from './same-bytes.ts';

/**
 * Puts the protected files of a worktree back as the index has them, which must be as the base has them:
 * changed and deleted ones are written again, added ones removed. Answers what was touched, sorted.
 * Ignored files among the added ones are removed without being named: tests leave such things behind.
 */
export async function undoProtectedChanges(
  place: Place & { workTree: string },
  globs: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  if (globs.length === 0) return [];
  const isProtected = matcherOf(globs);
  const select = (names: RawName[]) => names.filter((name) => isProtected(readable(name)));
  const findChanged = async () => select((await splitByBytes(place, worktreeChanges, signal)).different);
  const findAdded = async (...flags: string[]) =>
    select(splitNames(await gitBytes(['ls-files', '--others', ...flags, '-z'], place, { signal })));

  const changed = await findChanged();
  const added = await findAdded();
  const addedInSight = await findAdded('--exclude-standard');
  // First the added ones: a link or a directory may stand where a file has to be again.
  for (const name of added) await removeTree(pathOf(place.workTree, name));
  if (changed.length > 0) {
    await git(['checkout-index', '--force', '-z', '--stdin'], place, { input: joinNames(changed), signal });
    const still = await findChanged();
    if (still.length > 0) throw new Error(`protected files could not be put back: ${still.map(readable).join(', ')}`);
  }
  return [...new Set([...changed, ...addedInSight])].map(readable).sort();
}

/** A glob that names a directory protects all that is in it. */
function matcherOf(globs: readonly string[]): (name: string) => boolean {
  const patterns = globs.map((glob) => glob.replace(/^(\.\/)+/, '').replace(/\/+$/, ''));
  // The flag lets a name with a line break match too; a leading "!" is a character like any other.
  return picomatch([...patterns, ...patterns.map((pattern) => `${pattern}/**`)], {
    dot: true,
    nonegate: true,
    flags: 's',
  });
}
