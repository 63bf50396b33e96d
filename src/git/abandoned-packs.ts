import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What nobody has written to for so long nobody writes any more, milliseconds. */
const abandonedAfter = 60 * 60_000;

/**
 * Removes what fetches that were cut off have left half written. git leaves that to its `gc`, which never runs in a mirror: with each try
 * a repository that cannot be had within the time would take its size once more. What is younger may be
 * another's: large files of a cell go straight into a pack.
 */
export async function removeAbandonedPacks(gitDirectory: string): Promise<void> {
  const packs = join(gitDirectory, 'objects/pack');
  for (const name of await readdir(packs).catch(() => [])) {
    if (!name.startsWith('tmp_')) continue;
    const found = await lstat(join(packs, name)).catch(() => null);
    if (found?.isFile() === true && Date.now() - found.mtimeMs > abandonedAfter)
      await rm(join(packs, name), { force: true });
  }
}
