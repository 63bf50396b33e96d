import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { createCellGroups, enterGroup } from '../../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { endOwner } from '../../../src/runtimes/end-owner.ts';
import { root } from '../../support/source-files.ts';
import { isRunning } from '../../support/processes.ts';
import { runMarker, testRun } from '../../support/run.ts';
import { waitUntil } from '../../support/wait-until.ts';

const found = await findGroupRoot();
const cellId = '0123456789abcdef';
const env = { PATH: process.env['PATH'] ?? '', [runMarker]: testRun() };

/** Groups of an owner of their own, which go with the scope. */
async function ownGroups(groupRoot: string) {
  const owner = randomBytes(16).toString('hex');
  return {
    owner,
    groups: createCellGroups(groupRoot, owner),
    top: join(groupRoot, `agent-cells-${owner}`),
    [Symbol.asyncDispose]: () => endOwner(owner, groupRoot),
  };
}

describe.skipIf(found.root === null)('control groups', () => {
  const groupRoot = found.root ?? '';

  test('hold a process from its first moment, and leave nothing when they are removed', async () => {
    await using own = await ownGroups(groupRoot);
    const directory = await own.groups.make(cellId, 'server');
    const [program, ...words] = enterGroup(directory, ['cat', '/proc/self/cgroup'], env);
    const { stdout } = await execa(program, words, { env, extendEnv: false });
    expect(stdout).toMatch(new RegExp(`^0::.*/agent-cells-${own.owner}/${cellId}/server$`, 'm'));
    expect(await own.groups.list()).toEqual([cellId]);
    expect(await own.groups.remove(cellId)).toBe(true);
    expect(await own.groups.remove(cellId)).toBe(false);
    await expect(stat(own.top)).rejects.toThrow('ENOENT');
  });

  test('are ended at once, those inside of them too', async () => {
    await using own = await ownGroups(groupRoot);
    const directory = await own.groups.make(cellId, 'server');
    const inside = await own.groups.make(cellId, 'server/made-by-the-cell');
    const [program, ...words] = enterGroup(directory, ['sleep', '300'], env);
    const [again, ...others] = enterGroup(inside, ['sleep', '300'], env);
    const sleepers = [execa(program, words, { env, reject: false }), execa(again, others, { env, reject: false })];
    await waitUntil(async () => (await readFile(`${inside}/cgroup.procs`, 'utf8')) !== '');
    await waitUntil(async () => (await readFile(`${directory}/cgroup.procs`, 'utf8')) !== '');
    await own.groups.kill(cellId);
    expect((await Promise.all(sleepers)).map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL']);
    expect(await own.groups.remove(cellId)).toBe(true);
  });

  test('are made inside of the group of a cell by an agent-cells that runs in one', async () => {
    await using own = await ownGroups(groupRoot);
    const directory = await own.groups.make(cellId, 'server');
    const script = `import { findGroupRoot } from './src/runtimes/cgroup-root.ts'; console.log((await findGroupRoot()).root)`;
    const [program, ...words] = enterGroup(
      directory,
      [process.execPath, '--input-type=module-typescript', '-e', script],
      env,
    );
    const { stdout } = await execa(program, words, { env, extendEnv: false, cwd: root });
    expect(stdout).toBe(directory);
  });

  test('refuse a process that cannot join, rather than let it run outside', async () => {
    const [program, ...words] = enterGroup(join(groupRoot, 'agent-cells-nowhere'), ['echo', 'ran'], env);
    const { exitCode, stdout } = await execa(program, words, { env, extendEnv: false, reject: false });
    expect([exitCode, stdout]).toEqual([125, '']);
  });

  test('tell the processes of an owner whose keeper and its watchdog were killed', async () => {
    await using own = await ownGroups(groupRoot);
    const directory = await own.groups.make(cellId, 'server');
    const [program, ...words] = enterGroup(directory, ['sleep', '300'], env);
    const sleeper = execa(program, words, { env: {}, extendEnv: false, reject: false });
    await waitUntil(async () => (await readFile(`${directory}/cgroup.procs`, 'utf8')) !== '');
    await endOwner(own.owner, groupRoot);
    await sleeper;
    expect(await isRunning(sleeper.pid ?? 0)).toBe(false);
    await expect(stat(own.top)).rejects.toThrow('ENOENT');
  });
});
