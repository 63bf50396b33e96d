import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { readAudit } from '../../../src/journal/audit.ts';
import { type Failure, failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { remainsOf } from '../../support/remains.ts';
import { testRuntime } from '../../support/test-runtime.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/disk.yaml', import.meta.url));
const limits = { timeout: 300_000 };
const mebibyte = 1024 * 1024;
const quota = 60;

describe('a cell whose files take more than they may', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts, env: { CELLS_CELL_DISK: `${quota}m` } })));
  afterAll(async () => {
    await nothingLeft(fleet);
    await fleet[Symbol.asyncDispose]();
  });

  test('fails while its agent writes, long before that would end, and its work is kept', limits, async () => {
    const failure = await failureOf(fleet.client, await fleet.start('fills-disk'));
    expectDiskSpent(failure);
    expect(failure.report.tokens.total).toBe(1050);
    const { revertedRef = '', cellId } = failure.report;
    expect(await fleet.repository.git('show', `${revertedRef}:answer.txt`)).toBe('right');
    await expectAllFree(fleet, cellId);
    const alerts = (await readAudit(fleet.stateDirectory, 0)).filter(({ event }) => event === 'alert');
    expect(alerts).toMatchObject([{ what: 'disk', by: 'worker', cellId, limit: quota * mebibyte }]);
    expect(Number(alerts[0]?.['disk'])).toBeGreaterThan(quota * mebibyte);
    const { transcript } = cellPaths(fleet.stateDirectory, cellId ?? '');
    expect(await readFile(transcript, 'utf8')).toContain('filling-');
  });

  test('fails while its test command writes, and what that wrote is not kept', limits, async () => {
    const testCommand = 'for i in $(seq 1500); do head -c 5M /dev/zero > filling-$i; sleep 0.2; done';
    const failure = await failureOf(fleet.client, await fleet.start('edits', { testCommand, testTimeout: '5m' }));
    expectDiskSpent(failure);
    expect(failure.report.filesModified).toMatchObject([{ path: 'answer.txt', change: 'added' }]);
    await expectAllFree(fleet, failure.report.cellId);
  });

  // Elsewhere no file of that size can be made.
  test.skipIf(testRuntime() !== 'process')(
    'does not make git keep gigabytes: its work is kept as files, as far as they are not too large',
    limits,
    async () => {
      const failure = await failureOf(fleet.client, await fleet.start('fills-disk-with-holes'));
      expectDiskSpent(failure);
      expect(failure.report).not.toHaveProperty('revertedRef');
      const { worktreeCopy } = cellPaths(fleet.stateDirectory, failure.report.cellId ?? '');
      expect(await readFile(`${worktreeCopy}/answer.txt`, 'utf8')).toBe('right\n');
      await expect(stat(`${worktreeCopy}/holes`)).rejects.toThrow('ENOENT');
      await expectAllFree(fleet, failure.report.cellId);
    },
  );

  test('is left alone below that', limits, async () => {
    const cell = await fleet.start('edits', { agentId: 'small', testCommand: 'head -c 5M /dev/zero > filling' });
    expect(await cell.result()).toMatchObject({ status: 'committed' });
  });
});

/** It was seen within some seconds, at 25 MiB a second. */
function expectDiskSpent({ type, message, report }: Failure): void {
  expect(type).toBe('AgentFailed');
  const taken = new RegExp(
    `^the files of the cell take ([\\d.]+) MiB; it may have ${quota} MiB \\(CELLS_CELL_DISK\\)$`,
  );
  expect(message).toMatch(taken);
  expect(Number(taken.exec(message)?.[1])).toBeLessThan(1024);
  expect(report.respawns).toBe(0);
}

async function expectAllFree(fleet: Fleet, cellId: string | null): Promise<void> {
  expect(await remainsOf(fleet, cellId ?? '')).toEqual([]);
}
