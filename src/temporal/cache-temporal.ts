import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describeTemporal } from './temporal-cli.ts';

/**
 * Makes the cached binary out of what `produce` makes in an empty directory beside it.
 * It appears at once and whole: who looks meanwhile sees no binary, never half of one.
 *
 * @returns the path of the cached binary.
 * @throws what `produce` throws, and when the binary does not run here.
 */
export async function cacheTemporal(
  cached: string,
  signal: AbortSignal,
  produce: (directory: string) => Promise<string>,
): Promise<string> {
  await mkdir(dirname(cached), { recursive: true });
  const directory = await mkdtemp(join(dirname(cached), '.making-'));
  try {
    const made = await produce(directory);
    await chmod(made, 0o755);
    await describeTemporal(made, signal);
    await rename(made, cached);
    return cached;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
