import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stateDirectoryId } from '../../../src/cell/hostlock.ts';
import { createCellGroups } from '../../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { createLimitGroups, noLimits } from '../../../src/runtimes/limit-groups.ts';
import { findLimitRoot, type LimitRoot } from '../../../src/runtimes/limit-root.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { isRunning } from '../../support/processes.ts';
import { endSupervisor, supervisedCell } from '../../support/supervised-cell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

const groupRoot = await findGroupRoot();
const noGroups = groupRoot.root === null;
const { root: limits } = await findLimitRoot(groupRoot);

describe('the supervisor', () => {
  test.skipIf(noGroups)(
    'when it is killed ends those processes too that left their parent and their environment, and their control groups',
    async () => {
      await using cell = await supervisedCell();
      const said = join(cell.stateDirectory, 'output.log');
      await cell.start(`sh '${join(import.meta.dirname, '../../fixtures/processes/sheds-all.sh')}'; exec sleep 300`);
      await waitUntil(async () => (await readFile(said, 'utf8')).includes('\n'));
      const daemon = Number(await readFile(said, 'utf8'));
      expect(await isRunning(daemon)).toBe(true);
      process.kill((await cell.client.info()).pid, 'SIGKILL');
      await waitUntil(async () => !(await isRunning(daemon)));
      expect(await isRunning(daemon)).toBe(false);
      const groups = createCellGroups(groupRoot.root ?? '', await stateDirectoryId(cell.stateDirectory));
      await waitUntil(async () => (await groups.list()).length === 0);
      expect(await groups.list()).toEqual([]);
    },
  );

  test.skipIf(noGroups)('removes at its start what control groups an earlier one left', async () => {
    await using directory = await temporaryDirectory();
    const groups = createCellGroups(groupRoot.root ?? '', await stateDirectoryId(directory.path));
    await groups.make(randomBytes(8).toString('hex'), 'server');
    await using client = await connectSupervisor(directory.path);
    expect(await groups.list()).toEqual([]);
    await endSupervisor(client);
  });

  test.skipIf(limits === null || limits.version === 2)(
    'removes what limits of cells an earlier one left, and its own when it is killed',
    async () => {
      await using directory = await temporaryDirectory();
      const owner = await stateDirectoryId(directory.path);
      const groups = createLimitGroups(limits as LimitRoot, owner); // there are some, or this test is skipped
      const cellId = randomBytes(8).toString('hex');
      await groups.enter(cellId, noLimits);
      await using client = await connectSupervisor(directory.path);
      expect(await groups.listEmpty()).toEqual([]);
      const made = await groups.enter(cellId, noLimits);
      expect(await groups.listEmpty()).toEqual([cellId]);
      const { pid } = await client.info();
      process.kill(pid, 'SIGKILL');
      await waitUntil(async () => (await groups.listEmpty()).length === 0);
      for (const path of made) await expect(stat(dirname(path))).rejects.toThrow('ENOENT');
    },
  );
});
