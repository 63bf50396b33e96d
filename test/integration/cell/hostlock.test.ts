import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireHostLock, HostLocked, stateDirectoryId } from '../../../src/cell/hostlock.ts';
import { hostPaths } from '../../../src/cell/paths.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('the lock of a state directory', () => {
  test('is refused to a second worker, until the first releases it', async () => {
    await using directory = await temporaryDirectory();
    await using first = await acquireHostLock(directory.path);
    await expect(acquireHostLock(directory.path)).rejects.toThrow(HostLocked);
    await expect(acquireHostLock(directory.path)).rejects.toThrow('another worker runs on this state directory');
    await first.release();
    await first.release();
    await using second = await acquireHostLock(directory.path);
    expect(second.id).toBe(first.id);
  });

  test('is held for one state directory and not for others', async () => {
    await using one = await temporaryDirectory();
    await using other = await temporaryDirectory();
    await using first = await acquireHostLock(one.path);
    await using second = await acquireHostLock(other.path);
    expect(second.id).not.toBe(first.id);
  });

  test('is free as soon as its holder is killed', { timeout: 30_000 }, async () => {
    await using directory = await temporaryDirectory();
    const fixture = join(import.meta.dirname, '../../fixtures/hold-lock.ts');
    const holder = spawn(process.execPath, [fixture, directory.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(holder, 'exit');
    try {
      await once(holder.stdout, 'data');
      await expect(acquireHostLock(directory.path)).rejects.toThrow(HostLocked);
    } finally {
      holder.kill('SIGKILL');
      await exit;
    }
    await using lock = await acquireHostLock(directory.path);
    expect(lock.id).toMatch(/^[0-9a-f]{32}$/);
  });

  test('is named by an id that only its owner can read, and that many who ask at once agree on', async () => {
    await using directory = await temporaryDirectory();
    const ids = await Promise.all(Array.from({ length: 8 }, () => stateDirectoryId(directory.path)));
    expect(new Set(ids).size).toBe(1);
    expect((await stat(hostPaths(directory.path).id)).mode & 0o777).toBe(0o600);
  });
});
