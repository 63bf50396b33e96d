import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createCellWays } from '../../../src/runtimes/ways.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('a cell can pass through the directory of its ways out, whatever mode that had', async () => {
  await using directory = await temporaryDirectory();
  const outlet = join(directory.path, 'out');
  await mkdir(outlet, { mode: 0o600 });
  const ways = createCellWays();
  const limits = { memory: null, cpus: null, pids: null, disk: null };
  const nothing = { writable: [], readable: [], inlet: null, model: false, allow: [], limits };
  await ways.open('0123456789abcdef', 'server', { ...nothing, outlet });
  expect((await stat(outlet)).mode & 0o777).toBe(0o755);
  await ways.close('0123456789abcdef');
});
