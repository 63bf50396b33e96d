import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { CellHandle } from '../../../src/client.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { runtimeSettings } from '../../support/test-runtime.ts';

const limits = { timeout: 300_000 };

describe.each(['bubblewrap', 'docker'] as const)('a cell in %s', (runtime) => {
  const owned = new AsyncDisposableStack();
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = owned.use(await startFleet({ env: await runtimeSettings(runtime, owned) }));
  }, 300_000);
  afterAll(() => owned.disposeAsync());

  const outputOf = async (cell: CellHandle) => {
    const { cellId } = await cell.result();
    if (cellId === null) throw new Error('a cell that ended has an id');
    return await readFile(cellPaths(fleet.stateDirectory, cellId).testOutput(0), 'utf8');
  };

  test('does its work from start to commit, and leaves nothing', limits, async () => {
    const cell = await fleet.start('edit-file', { testCommand: 'test -f README.md && id -u' });
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', runtime, tests: { outcome: 'passed' } });
    const counted = fleet.model.ledger().reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);
    expect(result.tokens.total).toBe(counted);
    const left = await Promise.all(['cells', 'worktrees'].map((name) => readdir(join(fleet.stateDirectory, name))));
    expect(left.flat()).toEqual([]);
  });

  test('works with a git repository of its own, in which nothing of the host is seen', limits, async () => {
    const testCommand =
      'git status --short; git log --oneline --all | wc -l; git remote; git rev-parse --git-common-dir';
    const cell = await fleet.start('edit-file', { agentId: 'git', testCommand });
    expect(await outputOf(cell)).toMatch(/^ M |^\?\? |^1$/m);
    expect(await outputOf(cell)).not.toContain(fleet.repository.path);
  });

  test('is as its host was before, when its tests fail and its agent goes on', limits, async () => {
    const cell = await fleet.start('never-green', {
      testCommand: 'echo from the tests > left-behind; test -f never',
      maxRepairs: 1,
    });
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'reverted', tests: { outcome: 'failed', rounds: 2 } });
    expect(result.filesModified.map(({ path }) => path)).not.toContain('left-behind');
    await expect(stat(join(fleet.repository.path, 'left-behind'))).rejects.toThrow('ENOENT');
  });
});
