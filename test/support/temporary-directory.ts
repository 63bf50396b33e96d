import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryPrefix, testRun } from './run.ts';

export interface TemporaryDirectory extends AsyncDisposable {
  /** Absolute and without symbolic links. */
  path: string;
}

/** A directory that is removed, with what is in it, when its scope ends: `await using directory = await temporaryDirectory()`. */
export async function temporaryDirectory(above = tmpdir()): Promise<TemporaryDirectory> {
  const path = await realpath(await mkdtemp(join(above, `${directoryPrefix}${testRun()}-`)));
  return {
    path,
    // A process that is just ending may still write into it, hence the retries.
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  };
}
