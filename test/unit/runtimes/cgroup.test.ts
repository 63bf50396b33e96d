import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandPart, enterGroup, placesIn } from '../../../src/runtimes/cgroup.ts';
import { findGroupRoot, rootsToTry } from '../../../src/runtimes/cgroup-root.ts';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';

const cell = '0123456789abcdef';
const inner = 'fedcba9876543210';

describe('the control group of a process', () => {
  test('says to which cell it belongs, and to which part of it', () => {
    const text = `4:memory:/x\n0::/agent-cells-a1/${cell}/server\n`;
    expect(placesIn(text)).toEqual([{ owner: 'a1', cellId: cell, part: 'server' }]);
    expect(placesIn(`0::/user.slice/agent-cells-a1/${cell}`)).toEqual([{ owner: 'a1', cellId: cell, part: null }]);
  });

  test('says it of each cell where one lives in another', () => {
    const text = `0::/agent-cells-a1/${cell}/server/agent-cells-b2/${inner}/${commandPart('x/y')}\n`;
    expect(placesIn(text)).toEqual([
      { owner: 'a1', cellId: cell, part: 'server' },
      { owner: 'b2', cellId: inner, part: commandPart('x/y') },
    ]);
  });

  test('says nothing where it is of another make', () => {
    for (const text of ['', '0::/', `1:memory:/agent-cells-a1/${cell}`, `0::/agent-cells-a1/other/server`]) {
      expect(placesIn(text)).toEqual([]);
    }
  });
});

test('a part that is named by a command is one directory, whatever the name', () => {
  expect(commandPart('../a b/c')).not.toMatch(/[/ ]/);
});

test('the words of a command stay words when it enters a group', () => {
  const words = enterGroup('/groups/a', ['printf', '%s', '$HOME `id`'], {});
  expect(words.slice(-4)).toEqual(['/groups/a', 'printf', '%s', '$HOME `id`']);
});

describe('where control groups are made', () => {
  const mounts = '30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n31 24 0:5 / /dev rw - devtmpfs dev rw\n';

  test('is tried at the top first, and then in the group of the worker', () => {
    expect(rootsToTry(mounts, '0::/\n')).toEqual(['/sys/fs/cgroup']);
    const scope = '/user.slice/app.slice/terminal.scope';
    expect(rootsToTry(mounts, `0::${scope}\n`)).toEqual(['/sys/fs/cgroup', `/sys/fs/cgroup${scope}`]);
  });

  test('is the group of the service where the worker is in one below that', () => {
    const service = '/system.slice/agent-cells.service';
    const [top, within, own] = rootsToTry(mounts, `0::${service}/worker\n`);
    expect([top, within, own]).toEqual([
      '/sys/fs/cgroup',
      `/sys/fs/cgroup${service}`,
      `/sys/fs/cgroup${service}/worker`,
    ]);
  });

  test('is within the group of the cell where the worker itself runs in a cell', () => {
    const path = `/agent-cells-a1/${cell}/server`;
    expect(rootsToTry(mounts, `0::${path}\n`)).toEqual([`/sys/fs/cgroup${path}`]);
  });

  test('is nowhere when they are switched off, and the probe of the runtime says what that means', async () => {
    const groupRoot = await findGroupRoot('off');
    expect(groupRoot).toEqual({ root: null, why: 'control groups are switched off' });
    const probe = await createProcessRuntime({ owner: 'test', groupRoot }).probe();
    expect(probe).toMatchObject({
      usable: true,
      notes: expect.arrayContaining([expect.stringContaining('by the markers in their environment alone')]),
    });
  });

  test('is refused in a directory that is none of theirs', async () => {
    expect(await findGroupRoot(tmpdir())).toMatchObject({
      root: null,
      why: expect.stringContaining('not in a cgroup v2 hierarchy'),
    });
    const nowhere = join(tmpdir(), 'nowhere-at-all');
    expect(await findGroupRoot(nowhere)).toMatchObject({ root: null, why: expect.stringContaining('ENOENT') });
  });
});
