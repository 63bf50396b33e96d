import { constants, createWriteStream, type Dirent } from 'node:fs';
import { mkdir, open, opendir, readlink, rename, symlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { removeTree } from '../git/remove-worktree.ts';

/** More is not copied: a file may be larger than it is on disk. */
export const maximumBytes = 1024 ** 3;

/** More are not copied, nor kept in memory: millions of empty files have no bytes. */
const mostEntries = 1_000_000;

interface Copy {
  bytesLeft: number;
  entriesLeft: number;
  leftOut: number;
}

/**
 * Copies what an agent left as files, for a person to look at. Links are copied as links and never followed; nothing is taken over but
 * bytes and whether a file may be run. Left out, and counted, are pipes, sockets and devices, what cannot be read or is too deep for a path,
 * files beyond 1 GiB in all, and what is beyond a million files, links and directories. What is there under the name of the copy is whole.
 * Idempotent: what an earlier run copied goes first.
 */
export async function copyWork(from: string, to: string, entriesLeft = mostEntries): Promise<{ leftOut: number }> {
  const half = `${to}.new`;
  await removeTree(half);
  const copy = { bytesLeft: maximumBytes, entriesLeft, leftOut: 0 };
  await copyDirectory(Buffer.from(from), Buffer.from(half), copy);
  await removeTree(to);
  await rename(half, to);
  return { leftOut: copy.leftOut };
}

async function copyDirectory(from: Buffer, to: Buffer, copy: Copy): Promise<void> {
  const entries = await entriesOf(from, copy);
  await mkdir(to, { mode: 0o700 });
  for (const entry of entries) {
    const [source, target] = [from, to].map((path) => Buffer.concat([path, Buffer.from('/'), entry.name]));
    if (source === undefined || target === undefined) continue;
    await copyEntry(entry, source, target, copy).catch(() => (copy.leftOut += 1));
  }
}

/** Those that may still be copied. */
async function entriesOf(directory: Buffer, copy: Copy): Promise<Dirent<Buffer>[]> {
  const entries: Dirent<Buffer>[] = [];
  // Its types know encodings of text only; asked for buffers it gives them, as `readdir` does.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: 1000 };
  for await (const entry of await opendir(directory, options)) {
    if (copy.entriesLeft > 0) {
      copy.entriesLeft -= 1;
      entries.push(entry as unknown as Dirent<Buffer>);
    } else copy.leftOut += 1;
  }
  return entries;
}

async function copyEntry(entry: Dirent<Buffer>, from: Buffer, to: Buffer, copy: Copy): Promise<void> {
  if (entry.isDirectory()) await copyDirectory(from, to, copy);
  else if (entry.isSymbolicLink()) await symlink(await readlink(from, 'buffer'), to);
  else await copyFile(from, to, copy);
}

/** @throws where it is no file any more, or too large */
async function copyFile(from: Buffer, to: Buffer, copy: Copy): Promise<void> {
  await using file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const found = await file.stat();
  if (!found.isFile() || found.size > copy.bytesLeft) throw new Error('not a file that is copied');
  copy.bytesLeft -= found.size;
  const mode = (found.mode & 0o100) === 0 ? 0o600 : 0o700;
  // The size is that of a moment ago, and no more than that is read.
  const source = file.createReadStream({ autoClose: false, end: Math.max(found.size - 1, 0) });
  await pipeline(source, createWriteStream(to, { mode, flags: 'wx' }));
}
