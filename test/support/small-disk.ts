import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { temporaryDirectory } from './temporary-directory.ts';

/** A file system of its own on a directory, of so many KiB, until it is disposed of. */
export async function smallDisk(directory: string, kilobytes: number): Promise<AsyncDisposable> {
  await execa('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', directory]);
  return { [Symbol.asyncDispose]: async () => void (await execa('umount', [directory])) };
}

/** Whether this user may mount one. */
export async function canMount(): Promise<boolean> {
  await using directory = await temporaryDirectory();
  try {
    await using _disk = await smallDisk(directory.path, 64);
    return true;
  } catch {
    return false;
  }
}

/** Takes all of a disk but so many bytes, which are whole blocks, until it is disposed of. */
export async function fillDisk(directory: string, left = 0): Promise<AsyncDisposable> {
  const filling = join(directory, 'filling.lock');
  const { bavail, bsize } = await statfs(directory);
  await writeFile(filling, Buffer.alloc(bavail * bsize - left));
  return { [Symbol.asyncDispose]: () => rm(filling, { force: true }) };
}
