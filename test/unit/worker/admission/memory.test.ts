import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readMemory } from '../../../../src/worker/admission/memory.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const megabyte = 1024 ** 2;
const machine = { 'proc/meminfo': 'MemTotal: 4194304 kB\nMemFree: 1 kB\nMemAvailable: 2097152 kB\n' };

describe('the memory that cells can be given', () => {
  test('is what the kernel says where no control group has a limit', async () => {
    const files = {
      ...machine,
      'proc/self/cgroup': '4:memory:/a\n0::/a\n',
      'sys/fs/cgroup/memory/a/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/a/memory.max': 'max\n',
    };
    expect(await memoryOf(files)).toEqual({ total: 4096 * megabyte, available: 2048 * megabyte });
  });

  test('is what a control group of version 2 leaves, whichever of those above has the least; unused cache counts as free', async () => {
    const files = {
      ...machine,
      'proc/self/cgroup': '0::/slice/service\n',
      'sys/fs/cgroup/slice/service/memory.max': 'max\n',
      'sys/fs/cgroup/slice/memory.max': String(1000 * megabyte),
      'sys/fs/cgroup/slice/memory.current': String(900 * megabyte),
      'sys/fs/cgroup/slice/memory.stat': `anon 1\ninactive_file ${300 * megabyte}\nactive_file 7\n`,
    };
    expect(await memoryOf(files)).toEqual({ total: 1000 * megabyte, available: 400 * megabyte });
  });

  test('is what a control group of version 1 leaves, also in a container whose path is one of the host', async () => {
    const files = {
      ...machine,
      'proc/self/cgroup': '9:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': String(600 * megabyte),
      'sys/fs/cgroup/memory/memory.usage_in_bytes': String(700 * megabyte),
      'sys/fs/cgroup/memory/memory.stat': 'inactive_file 5\ntotal_inactive_file 0\n',
    };
    expect(await memoryOf(files)).toEqual({ total: 600 * megabyte, available: 0 });
  });

  test('is more than nothing on this machine, and no more than there is', async () => {
    const { total, available } = await readMemory();
    expect(available).toBeGreaterThan(0);
    expect(available).toBeLessThanOrEqual(total);
  });
});

async function memoryOf(files: Record<string, string>) {
  await using root = await temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root.path, name)), { recursive: true });
    await writeFile(join(root.path, name), text);
  }
  return await readMemory(root.path);
}
