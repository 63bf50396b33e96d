import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';

/** What became of an output, in bytes. */
export interface RecordedOutput {
  bytes: number;
  leftOut: number;
}

/** What is kept of the end when the output is too long. */
const tailBytes = 64 * 1024;

/**
 * Writes a stream to a file of at most about `limitBytes`: the beginning as it comes, then, with a line that says how much
 * is missing, the last 64 KiB. Takes the stream to its end whatever its length, in bounded memory.
 */
export async function recordOutput(source: Readable, file: FileHandle, limitBytes: number): Promise<RecordedOutput> {
  const headBytes = Math.max(0, limitBytes - tailBytes);
  let bytes = 0;
  let written = 0;
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of chunksOf(source)) {
    bytes += chunk.length;
    const head = chunk.subarray(0, headBytes - written);
    if (head.length > 0) await file.appendFile(head);
    written += head.length;
    if (head.length < chunk.length) tail = Buffer.concat([tail, chunk.subarray(head.length)]).subarray(-tailBytes);
  }
  const leftOut = bytes - written - tail.length;
  if (leftOut > 0) await file.appendFile(`\n[${leftOut} bytes left out]\n`);
  if (tail.length > 0) await file.appendFile(tail);
  return { bytes, leftOut };
}

/** A stream that was destroyed because nobody waits for the rest of it has ended, as far as it goes. */
async function* chunksOf(source: Readable): AsyncGenerator<Buffer> {
  try {
    // No encoding was set, so the chunks are buffers.
    yield* source as AsyncIterable<Buffer>;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ABORT_ERR') throw error;
  }
}
