import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { temporaryDirectory } from './temporary-directory.ts';

/** A file system of its own on a directory, of so many KiB, and files where that is said, until it is disposed of. */
export async function smallDisk(directory: string, kilobytes: number, files?: number): Promise<AsyncDisposable> {
  const options = [`size=${kilobytes}k`, ...(files === undefined ? [] : [`nr_inodes=${files}`])];
  await execa('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', directory]);
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
