import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { mkdir } from 'node:fs/promises';
import type { Setting } from './pair.ts';

/** What a fleet needs of the machine, as settings of its worker. What is made is deferred to the stack. */
type Prepare = (directory: string, stack: AsyncDisposableStack) => Promise<Record<string, string>>;

const clock = fileURLToPath(new URL('../fixtures/chaos/clock.ts', import.meta.url));

export const settings: Readonly<Record<Setting, Prepare>> = {
  // A worker that takes minutes to come back, on a machine that is busy, is not a host that is lost.
  plain: async () => ({ CELLS_HOST_LOST_AFTER: '10m' }),
  'soon-lost': async () => ({ CELLS_HOST_LOST_AFTER: '20s' }),
  impatient: async () => ({ CELLS_SILENCE_LIMIT: '10s' }),
  async 'small-disk'(directory, stack) {
    const disk = join(directory, 'disk');
    await mkdir(disk);
    // Room for a cell at each step, as a host reckons that has seen none: a quarter of a gigabyte each.
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=2560m', 'tmpfs', disk]);
    stack.defer(async () => void (await execa('umount', ['--lazy', disk])));
    return { CELLS_STATE_DIR: join(disk, 'state') };
  },
  async 'shifted-clock'(directory) {
    return { NODE_OPTIONS: `--import=${clock}`, CHAOS_CLOCK: clockFile(directory) };
  },
};

/** Holds by how many milliseconds the clocks of the worker and the supervisor are wrong. */
export const clockFile = (directory: string): string => join(directory, 'clock');
