import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createBubblewrapRuntime } from '../../../src/runtimes/bubblewrap.ts';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import { cellUnderTest } from '../../contracts/cell-under-test.ts';
import { confinementContract } from '../../contracts/runtime-confinement.contract.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('bubblewrap on a host without control groups', () => {
  confinementContract(() => cellUnderTest(createBubblewrapRuntime), undefined);
});

describe('the process runtime on a host without control groups', () => {
  test('pauses a cell that does nothing but start programs', async () => {
    await using cell = await cellUnderTest(createProcessRuntime);
    const command = 'while :; do /bin/true; echo counted >> count; done';
    await cell.runtime.start(cell.spec(['/bin/sh', '-c', command]), new AbortController().signal);
    const counted = async () => (await readFile(`${cell.directory}/count`, 'utf8').catch(() => '')).length;
    for (const _round of Array.from({ length: 30 })) {
      const earlier = await counted();
      await waitUntil(async () => (await counted()) > earlier);
      await using _pause = await cell.runtime.pause(cell.cellId);
      const before = await counted();
      // That nothing comes cannot be waited for: many rounds of a loop that runs go by in this.
      await delay(20);
      expect(await counted()).toBe(before);
    }
  });
});
