import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { hostPaths } from '../../../src/cell/paths.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const asRoot = process.getuid?.() === 0;
const nobody = asRoot ? { uid: 65534, gid: 65534 } : {};

const give = (path: string) => (asRoot ? execa('chown', ['-hR', '65534:65534', path]) : undefined);

/** As a worker that is not root does it at its start. */
async function empty(stateDirectory: string): Promise<{ left: string; said: string }> {
  if (asRoot) await execa('chown', ['65534:65534', stateDirectory, hostPaths(stateDirectory).trash]);
  const program = fileURLToPath(new URL('empty-trash.ts', import.meta.url));
  const { stdout, stderr } = await execa(process.execPath, [program, stateDirectory], nobody);
  return { left: stdout, said: stderr };
}

test('the trash of a worker that died is emptied of directories that nobody may write and that are too deep for a path', async () => {
  await using state = await temporaryDirectory();
  const { trash } = hostPaths(state.path);
  const closed = join(trash, 'home.1', 'modules');
  await mkdir(closed, { recursive: true });
  await writeFile(join(closed, 'file'), 'x');
  await makeDeep(join(trash, 'worktree.2'), state.path);
  await give(trash);
  await chmod(closed, 0o555);
  expect(await empty(state.path)).toEqual({ left: '0', said: '' });
  expect(await readdir(trash)).toEqual([]);
});

// Only root can make what belongs to another user.
test.runIf(asRoot)(
  'what in the trash cannot be deleted is named in the log, and keeps nothing else in it',
  async () => {
    await using state = await temporaryDirectory();
    const { trash } = hostPaths(state.path);
    for (const name of ['home.1', 'of-root.2', 'worktree.3']) {
      await mkdir(join(trash, name), { recursive: true });
      await writeFile(join(trash, name, 'file'), 'x');
    }
    await give(join(trash, 'home.1'));
    await give(join(trash, 'worktree.3'));
    const { left, said } = await empty(state.path);
    expect(left).toBe('1');
    expect(JSON.parse(said)).toMatchObject({ name: 'of-root.2', msg: expect.stringContaining('could not be deleted') });
    expect(await readdir(trash)).toEqual(['of-root.2']);
  },
);

/** From the bottom up, since no path leads there. */
async function makeDeep(path: string, beside: string): Promise<void> {
  const name = 'd'.repeat(200);
  const above = join(beside, 'above');
  await mkdir(path);
  for (let level = 0; level < 30; level += 1) {
    await mkdir(above);
    await rename(path, join(above, name));
    await rename(above, path);
  }
}
