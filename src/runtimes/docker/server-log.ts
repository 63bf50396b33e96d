import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';

/** Opens the file that a process appends to. It outlives the process. */
export async function openLog(logFile: string): Promise<FileHandle> {
  const log = await open(logFile, 'a', 0o600);
  await log.chmod(0o600);
  return log;
}

/**
 * Appends what a process writes, to its end. What cannot be written, to a disk that is full, is dropped: to stop reading would hold the
 * process up, and it is more worth than its log.
 */
export async function appendOutput(output: Readable, log: FileHandle): Promise<void> {
  try {
    for await (const chunk of output) await log.appendFile(chunk).catch(() => undefined);
  } catch {
    // The stream was cut: whoever it came from has ended.
  } finally {
    await log.close().catch(() => undefined);
  }
}
