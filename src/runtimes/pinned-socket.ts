import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import waitFor, { TimeoutError } from 'p-wait-for';

/** Opens a file for nothing but to name it; of the kernel's, not among Node's constants. */
const O_PATH = 0o10000000;

/** A socket of a cell appears within this time after its server listens, milliseconds. */
const appearsWithinMs = 5_000;

/** A Unix socket that was found, and can be connected to at `path` whatever becomes of its name. */
export interface PinnedSocket extends Disposable {
  path: string;
}

/**
 * Finds a socket in a directory that a cell may write, and holds on to it: connecting by the name each time would follow the link that
 * the cell puts there later, to any socket of the host. Waits for it to appear.
 *
 * @throws when what is there is no socket, or nothing appears
 */
export async function pinSocket(path: string): Promise<PinnedSocket> {
  let descriptor: number | null = null;
  try {
    await waitFor(
      () => {
        descriptor = openUnlessMissing(path);
        return descriptor !== null;
      },
      { interval: 20, timeout: appearsWithinMs },
    );
  } catch (error) {
    if (error instanceof TimeoutError) throw new Error(`no socket appeared at ${path}`, { cause: error });
    throw error;
  }
  const found = descriptor ?? -1; // it was opened, or the wait has thrown
  if (!fstatSync(found).isSocket()) {
    closeSync(found);
    throw new Error(`what is at ${path} is no socket`);
  }
  return { path: `/proc/self/fd/${found}`, [Symbol.dispose]: () => closeSync(found) };
}

function openUnlessMissing(path: string): number | null {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
