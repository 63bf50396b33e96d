/** A program that takes the lock of the git directory it is given, says so, and keeps it until it dies. */
import { withRepositoryLock } from '../../../src/git/repository-lock.ts';

const [gitDirectory = ''] = process.argv.slice(2);
await withRepositoryLock(gitDirectory, async () => {
  console.log('locked');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
