import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { spawnDetached } from '../../../src/runtimes/spawn-detached.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('a process that cannot be started for want of descriptors is refused, and its starter lives on', async () => {
  const fixture = join(import.meta.dirname, '../../fixtures/processes/without-descriptors.ts');
  const script = 'ulimit -n 64; exec "$0" "$1"';
  const { stdout } = await execa('/bin/sh', ['-c', script, process.execPath, fixture]);
  expect(stdout).toMatch(/^onetwo.*cannot start \/bin\/sh for cell \w+: .*EMFILE\nonetwothen 0$/s);
});

test('nothing is started that was called off while its program was looked for', async () => {
  await using directory = await temporaryDirectory();
  const command = ['touch', 'started'] as const;
  const spec = { cellId: '0123456789abcdef', command, directory: directory.path, env: {}, logFile: '/dev/null' };
  // In other words than it was asked for: then it is looked up first.
  const launch = { command: ['env', ...command] as const, directory: directory.path, groups: [], inputs: [] };
  const cancelled = new AbortController();
  const started = spawnDetached(spec, launch, { PATH: process.env['PATH'] ?? '' }, 1, cancelled.signal);
  cancelled.abort(new Error('the cell was cancelled'));
  const exit = started.then(async (main) => await main.exit);
  await expect(exit).rejects.toThrow(/^the cell was cancelled$/);
  expect(await readdir(directory.path)).toEqual([]);
});
