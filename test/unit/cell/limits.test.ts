import { describe, expect, test } from 'vitest';
import { limitsOf } from '../../../src/cell/limits.ts';
import { makeRuntimes } from '../../../src/runtimes/index.ts';
import type { FoundLimitRoot } from '../../../src/runtimes/limit-root.ts';
import type { Probe } from '../../../src/runtimes/runtime.ts';
import { builtInTemplates } from '../../../src/templates/template.ts';

const mebibyte = 1024 * 1024;
const groups: FoundLimitRoot = { root: { version: 2, memory: '/groups', cpu: '/groups', pids: '/groups' } };
const none: FoundLimitRoot = { root: null, why: 'there are none' };

describe('the limits of a cell', () => {
  test('are those of its request, the memory and the disk of its host, and a usual number of processes', () => {
    const usual = { memory: 1024 * mebibyte, cpus: null, pids: 1024, disk: 10 * mebibyte };
    const host = hostWith(groups);
    expect(limitsOf(host, { agentType: 'worker' }, 'bubblewrap')).toEqual(usual);
    expect(limitsOf(host, { agentType: 'worker' }, 'docker')).toEqual(usual);
    const resources = { memory: '512m', cpus: 1.5, pids: 50 };
    const wanted = { memory: 512 * mebibyte, cpus: 1.5, pids: 50, disk: 10 * mebibyte };
    expect(limitsOf(host, { agentType: 'worker', resources }, 'bubblewrap')).toEqual(wanted);
  });

  test('keep to the disk when the cell is given more memory', () => {
    const more = limitsOf(hostWith(groups), { agentType: 'worker' }, 'bubblewrap', 1.5);
    expect(more).toMatchObject({ memory: 1536 * mebibyte, disk: 10 * mebibyte });
  });

  test('have the size of a file alone where the host has no control groups, and nothing where nothing is confined', () => {
    const unlimited = { memory: null, cpus: null, pids: null };
    const host = hostWith(none);
    expect(limitsOf(host, { agentType: 'worker' }, 'bubblewrap')).toEqual({ ...unlimited, disk: 10 * mebibyte });
    expect(limitsOf(host, { agentType: 'worker' }, 'process')).toEqual({ ...unlimited, disk: null });
  });
});

function hostWith(limitRoot: FoundLimitRoot): Parameters<typeof limitsOf>[0] {
  const made = makeRuntimes({ owner: 'test', limitRoot });
  const probe: Probe = { usable: true, notes: [] };
  return {
    runtimes: {
      process: { runtime: made.process, probe },
      bubblewrap: { runtime: made.bubblewrap, probe },
      docker: { runtime: made.docker, probe },
    },
    templates: builtInTemplates,
    serverMemory: 1024 * mebibyte,
    cellDisk: 10 * mebibyte,
  };
}
