import { randomUUID } from 'node:crypto';
import { link, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Creates a file of mode 600 with its whole content, unless it exists: it is never seen in part, and of many who try at
 * once, in any process, one succeeds. It is on the disk when this returns. The directory must exist.
 *
 * @param drafts a directory of the same file system, in which a draft stays when this process is killed. Default: that of the file
 * @returns whether this call created it
 */
export async function createFile(path: string, content: string, drafts = dirname(path)): Promise<boolean> {
  const draft = join(drafts, `${basename(path)}.${randomUUID()}`);
  try {
    await writeThrough(draft, content);
    // A hard link is refused where the name is taken; a rename would replace what is there.
    await link(draft, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dirname(path));
  return true;
}

/** The code of a system error, such as `ENOENT`. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Whether nothing can be written down, on a full disk say. What is released then gives room again, so no note of it may be in its way. */
export function takesNothing(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS'].some((code) => codeOf(error) === code);
}

async function writeThrough(path: string, content: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(content);
  await file.sync();
}

/** A new name is on the disk when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
