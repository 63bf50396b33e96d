import { join } from 'node:path';
import { withRepositoryLock } from '../../src/git/repository-lock.ts';

/** Keeps the lock of a repository, so that cells of it stay in their spawn with the place that they have claimed. Disposing gives it back. */
export async function holdSpawns(repository: string): Promise<AsyncDisposable> {
  const held = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const holding = withRepositoryLock(join(repository, '.git'), () => {
    held.resolve();
    return over.promise;
  });
  await Promise.race([held.promise, holding]);
  return {
    async [Symbol.asyncDispose]() {
      over.resolve();
      await holding;
    },
  };
}
