import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** A pipe at which agents wait without using the processor, until it opens. */
export interface Gate extends AsyncDisposable {
  path: string;
  /** Lets all go on who wait, and nobody wait any more. Idempotent. */
  open(): Promise<void>;
}

export async function closedGate(directory: string): Promise<Gate> {
  const path = join(directory, 'gate');
  await execa('mkfifo', [path]);
  // Held open for writing, it makes readers wait; opened for both, it does not make us wait for a reader.
  const pipe = await open(path, constants.O_RDWR);
  let isOpen = false;
  const openGate = async () => {
    if (isOpen) return;
    isOpen = true;
    // First the name, then the pipe: whoever comes in between finds nothing to wait at.
    await rm(path, { force: true });
    await pipe.close();
  };
  return { path, open: openGate, [Symbol.asyncDispose]: openGate };
}
