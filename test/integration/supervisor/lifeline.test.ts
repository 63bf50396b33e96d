import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { holdLifeline } from '../../../src/supervisor/lifeline.ts';
import { runningProcesses } from '../../support/processes.ts';
import { waitUntil } from '../../support/wait-until.ts';

test.for([
  ['of its program is told later', '/nonexistent/node'],
  ['is told at once', `/${'long'.repeat(1_500)}`],
] as const)(
  'a watchdog that dies is replaced as soon as one can be started, where the error %s',
  async ([, program]) => {
    const owner = randomBytes(16).toString('hex');
    const watchdogs = async () => (await runningProcesses()).filter(({ command }) => command.includes(owner));
    const lifeline = await holdLifeline(owner, null, []);
    const startedAt = performance.now();
    const { execPath } = process;
    try {
      const [first] = await watchdogs();
      if (first === undefined) throw new Error('no watchdog runs');
      // The place of one that has been there for a second is taken at once.
      await waitUntil(() => performance.now() - startedAt > 1_200);
      process.execPath = program;
      process.kill(first.pid, 'SIGKILL');
      await waitUntil(async () => (await watchdogs()).length === 0);
      process.execPath = execPath;
      await waitUntil(async () => (await watchdogs()).length === 1);
      expect((await watchdogs())[0]?.pid).not.toBe(first.pid);
    } finally {
      process.execPath = execPath;
      await lifeline.release();
    }
    expect(await watchdogs()).toEqual([]);
  },
);
