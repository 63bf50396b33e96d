import { join } from 'node:path';
import { type LockOptions, withRepositoryLock } from '../../src/git/repository-lock.ts';

/** Keeps the lock of a repository, so that cells of it stay in their spawn with the place that they have claimed. Disposing gives it back. */
export const holdSpawns = (repository: string): Promise<AsyncDisposable> => hold(join(repository, '.git'));

/** Keeps the mirror of a URL from being fetched, which a spawn waits for before anything of its cell is made. */
export const holdFetches = (mirror: string): Promise<AsyncDisposable> => hold(mirror, { purpose: 'fetch' });

async function hold(gitDirectory: string, options?: LockOptions): Promise<AsyncDisposable> {
  const held = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const work = () => {
    held.resolve();
    return over.promise;
  };
  const holding = withRepositoryLock(gitDirectory, work, options);
  await Promise.race([held.promise, holding]);
  return {
    async [Symbol.asyncDispose]() {
      over.resolve();
      await holding;
    },
  };
}
