import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandPart, enterGroup, placesIn } from '../../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
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
