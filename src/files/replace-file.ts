import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createLocks } from './one-at-a-time.ts';

export interface Replacement {
  /** Permissions, whatever the mask of this process. */
  mode: number;
  /** Whether the content is on the disk when this returns. Default: true */
  sync?: boolean;
  /** Whose the file is to be; null for the user of this process. Default: null */
  owner?: { uid: number; gid: number } | null;
}

const oneAtATime = createLocks();

/**
 * Writes a file as a whole: whoever reads it finds what was there before, or all of the new content. On failure, on a disk that has room for a part
 * of it say, the file stays as it was. Of several calls for one file the last one stands. A draft stays beside the file when this process is killed.
 */
export function replaceFile(path: string, content: string, replacement: Replacement): Promise<void> {
  return oneAtATime(resolve(path), async () => {
    const draft = `${path}.${randomUUID()}`;
    try {
      await writeDraft(draft, content, replacement);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  });
}

async function writeDraft(
  draft: string,
  content: string,
  { mode, sync = true, owner = null }: Replacement,
): Promise<void> {
  await using file = await open(draft, 'wx', mode);
  // A single write may take a part and report no error. This goes on until all is written, or the disk says why not.
  await file.writeFile(content);
  if (owner !== null) await file.chown(owner.uid, owner.gid);
  await file.chmod(mode);
  if (sync) await file.sync();
}
