import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

/** Both ends of a pipe. */
export interface OutputPipe {
  /** Ends when the last process that holds the writing end is gone. */
  reader: Readable;
  /** A descriptor for a child to inherit; to be closed here as soon as it has. */
  writer: number;
}

/**
 * A real pipe, for both output streams of a child. Node's own are sockets, one for each stream: with them a script that
 * opens `/dev/stderr` fails, and the order of the two streams is lost.
 *
 * @param near a path beside which the pipe has a name for a moment
 */
export async function openOutputPipe(near: string): Promise<OutputPipe> {
  const path = `${near}.${randomUUID()}.pipe`;
  // A cell with a user of its own opens it anew where a script writes to /dev/stderr. Its name is in a directory that is closed to others.
  await promisify(execFile)('mkfifo', ['-m', '666', path]);
  try {
    // Descriptors and not file handles, which close themselves when they are collected. Neither call waits:
    // a reader that does not block needs no writer, and the writer finds the reader.
    const readingEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const reader = new Socket({ fd: readingEnd, readable: true, writable: false });
    try {
      return { reader, writer: openSync(path, constants.O_WRONLY) };
    } catch (error) {
      reader.destroy();
      throw error;
    }
  } finally {
    await rm(path, { force: true });
  }
}

/** Closes the writing end here; the children keep theirs. */
export function closeWriter(pipe: OutputPipe): void {
  closeSync(pipe.writer);
}
