import { symlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { withRepositoryLock } from '../../../src/git/repository-lock.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const holder = fileURLToPath(new URL('hold-lock.ts', import.meta.url));

/** Another process that has the lock of the directory. */
async function otherProcess(directory: string) {
  const child = execa(process.execPath, [holder, directory], { stdin: 'ignore', reject: false });
  const said = Promise.withResolvers<string>();
  child.stdout?.once('data', (chunk: Buffer) => said.resolve(chunk.toString()));
  await Promise.race([said.promise, child.then((ended) => Promise.reject(new Error(String(ended.stderr))))]);
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child;
    },
  };
}

describe('the lock of a repository', () => {
  test('lets one at a time work, in the order of asking', async () => {
    await using directory = await temporaryDirectory();
    const log: string[] = [];
    const work = (name: number) => async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name} ends`);
    };
    await Promise.all([1, 2, 3].map((name) => withRepositoryLock(directory.path, work(name))));
    expect(log).toEqual(['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends']);
  });

  test('is the same by whatever path the directory is named', async () => {
    await using directory = await temporaryDirectory();
    await using other = await temporaryDirectory();
    await symlink(directory.path, join(other.path, 'link'));
    const inner = withRepositoryLock(directory.path, () =>
      withRepositoryLock(join(other.path, 'link'), async () => 'both', { timeoutMs: 50 }),
    );
    await expect(inner).rejects.toThrow('was not free within 50 ms');
  });

  test('is freed when its work fails', async () => {
    await using directory = await temporaryDirectory();
    const failing = withRepositoryLock(directory.path, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await withRepositoryLock(directory.path, async () => 'free')).toBe('free');
  });

  test('keeps other processes out, and is free the moment its holder is killed', async () => {
    await using directory = await temporaryDirectory();
    {
      await using _other = await otherProcess(directory.path);
      await expect(withRepositoryLock(directory.path, async () => {}, { timeoutMs: 100 })).rejects.toThrow(
        'try again later',
      );
    }
    expect(await withRepositoryLock(directory.path, async () => 'free', { timeoutMs: 2_000 })).toBe('free');
  });

  test('is not waited for after the signal is aborted, and the waiting of others goes on', async () => {
    await using directory = await temporaryDirectory();
    const reason = new Error('cancelled');
    const controller = new AbortController();
    const work = Promise.withResolvers<void>();
    const first = withRepositoryLock(directory.path, () => work.promise);
    const second = withRepositoryLock(directory.path, async () => {}, { signal: controller.signal });
    const third = withRepositoryLock(directory.path, async () => 'third');
    setImmediate(() => controller.abort(reason));
    await expect(second).rejects.toBe(reason);
    work.resolve();
    await first;
    expect(await third).toBe('third');
  });
});
