import { describe, expect, test } from 'vitest';
import { faultOfRequest, type JudgingHost } from '../../../src/cell/judge-request.ts';
import { limitsOf } from '../../../src/cell/limits.ts';
import { parseCellRequest } from '../../../src/domain/request.ts';
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

  test('need no control groups but for processors, which are refused without them', async () => {
    const host = hostWith(none);
    const usual = { memory: 1024 * mebibyte, cpus: null, pids: 1024, disk: 10 * mebibyte };
    expect(limitsOf(host, { agentType: 'worker' }, 'bubblewrap')).toEqual(usual);
    const request = {
      taskId: 'task',
      agentId: 'agent',
      prompt: 'Do it.',
      runtime: 'bubblewrap',
      resources: { cpus: 1.5 },
    };
    const parsed = parseCellRequest(request);
    expect(parsed.ok && (await faultOfRequest(host, parsed.request))).toMatchObject({
      field: 'resources.cpus',
      why: 'the bubblewrap runtime cannot enforce it: there are none',
    });
  });

  test('are refused by the host that claims a request which no host can do', async () => {
    const network = { allow: ['db:99999'] };
    const parsed = parseCellRequest({ taskId: 'task', agentId: 'agent', prompt: 'Do it.', runtime: 'docker', network });
    expect(parsed.ok && (await faultOfRequest(hostWith(groups), parsed.request))).toEqual({
      field: 'network',
      why: 'db:99999: a port is at most 65535',
    });
    const ofType = { ...hostWith(groups), templates: { worker: { description: 'tiny', resources: { pids: 1 } } } };
    const plain = parseCellRequest({ taskId: 'task', agentId: 'agent', prompt: 'Do it.', runtime: 'docker' });
    expect(plain.ok && (await faultOfRequest(ofType, plain.request)), 'also where its agent type asks for it').toEqual({
      field: 'resources.pids',
      why: 'must be at least 32, and is 1',
    });
  });

  test('are none where nothing is confined', () => {
    const unlimited = { memory: null, cpus: null, pids: null, disk: null };
    expect(limitsOf(hostWith(groups), { agentType: 'worker' }, 'process')).toEqual(unlimited);
  });
});

function hostWith(limitRoot: FoundLimitRoot): Parameters<typeof limitsOf>[0] & JudgingHost {
  const made = makeRuntimes({ owner: 'test', limitRoot });
  const probe: Probe = { usable: true, notes: [] };
  return {
    runtimes: {
      process: { runtime: made.process, probe },
      bubblewrap: { runtime: made.bubblewrap, probe },
      docker: { runtime: made.docker, probe },
    },
    templates: builtInTemplates,
    defaultRuntime: 'process',
    opencode: {},
    opencodeFile: null,
    behindGateway: false,
    providerEnvironment: {},
    serverMemory: 1024 * mebibyte,
    cellDisk: 10 * mebibyte,
  };
}
