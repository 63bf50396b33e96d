import { git, gitBytes, type Place } from './git.ts';
import { joinNames, pathOf, type RawName, readable, splitNames } from './names.ts';
import { protectedNames } from './protected-names.ts';
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
  const select = (names: RawName[]) => protectedNames({ globs, names }, signal);
  const findChanged = async () => (await splitByBytes(place, worktreeChanges, signal)).different;
  const findAdded = async (...flags: string[]) =>
    splitNames(await gitBytes(['ls-files', '--others', ...flags, '-z'], place, { signal }));

  const found = {
    changed: await findChanged(),
    added: await findAdded(),
    inSight: await findAdded('--exclude-standard'),
  };
  const isProtected = new Set(await select([...found.changed, ...found.added]));
  const changed = found.changed.filter((name) => isProtected.has(name));
  const added = found.added.filter((name) => isProtected.has(name));
  const addedInSight = found.inSight.filter((name) => isProtected.has(name));
  // First the added ones: a link or a directory may stand where a file has to be again.
  for (const name of added) await removeTree(pathOf(place.workTree, name));
  if (changed.length > 0) {
    await git(['checkout-index', '--force', '-z', '--stdin'], place, { input: joinNames(changed), signal });
    const still = await select(await findChanged());
    if (still.length > 0) throw new Error(`protected files could not be put back: ${still.map(readable).join(', ')}`);
  }
  return [...new Set([...changed, ...addedInSight])].map(readable).sort();
}
