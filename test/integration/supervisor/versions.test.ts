import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { describe, expect, test } from 'vitest';
import { version } from '../../../src/domain/version.ts';
import { askSupervisor, connectSupervisor } from '../../../src/supervisor/client.ts';
import { socketOf } from '../../../src/supervisor/protocol.ts';
import { endSupervisor, hasGone, supervisedCell } from '../../support/supervised-cell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a supervisor', () => {
  test('of another version is replaced by a worker that finds it with no cell', async () => {
    await using directory = await temporaryDirectory();
    const old = await otherRelease(directory.path);
    await using worker = await connectSupervisor(directory.path);
    const { pid, version: found } = await worker.info();
    expect({ found, isOld: pid === old.pid }).toEqual({ found: version, isOld: false });
    expect(await hasGone(old.pid)).toBe(true);
    await endSupervisor(worker);
  });

  test('of another version stays where it keeps a cell, and serves the worker', async () => {
    await using directory = await temporaryDirectory();
    const old = await otherRelease(directory.path);
    const held = { cellId: randomBytes(8).toString('hex'), port: await getPort({ host: '127.0.0.1' }) };
    await askSupervisor(directory.path, '/port', held);
    await using worker = await connectSupervisor(directory.path);
    expect(await worker.info()).toMatchObject({ pid: old.pid, version: old.version, cells: [held.cellId], workers: 1 });
    await endSupervisor(worker);
  });

  test('says in what version it speaks when it is asked in another', async () => {
    await using cell = await supervisedCell();
    await expect(cell.client.call('/no-such-thing', {})).rejects.toThrow(/speaks version 1/);
  });
});

/** Starts the supervisor of another release, which is this one but for its version. It ends as any does. */
async function otherRelease(stateDirectory: string): Promise<{ pid: number; version: string }> {
  const [root, release] = [join(import.meta.dirname, '../../..'), join(stateDirectory, 'release')];
  await cp(join(root, 'src'), join(release, 'src'), { recursive: true });
  for (const name of ['node_modules', 'package.json']) await symlink(join(root, name), join(release, name));
  await writeFile(join(release, 'src/domain/version.ts'), `export const version = '0.0.1';\n`);
  const main = join(release, 'src/supervisor/main.ts');
  const { pid = 0 } = spawn(process.execPath, [main, JSON.stringify({ stateDirectory })], { stdio: 'inherit' });
  await waitUntil(async () => (await stat(socketOf(stateDirectory)).catch(() => null)) !== null);
  return { pid, version: '0.0.1' };
}
