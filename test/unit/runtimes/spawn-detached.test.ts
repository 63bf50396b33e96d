import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

test('a process that cannot be started for want of descriptors is refused, and its starter lives on', async () => {
  const fixture = join(import.meta.dirname, '../../fixtures/processes/without-descriptors.ts');
  const script = 'ulimit -n 64; exec "$0" "$1"';
  const { stdout } = await execa('/bin/sh', ['-c', script, process.execPath, fixture]);
  expect(stdout).toMatch(/^onetwo.*cannot start \/bin\/sh for cell \w+: .*EMFILE\nonetwothen 0$/s);
});
