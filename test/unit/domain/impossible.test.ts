import { describe, expect, test } from 'vitest';
import { impossibleIn } from '../../../src/domain/impossible.ts';
import { type CellRequest, parseCellRequest } from '../../../src/domain/request.ts';

const given = { taskId: 'task', agentId: 'agent', prompt: 'Do it.' };
const hosts = (count: number) => Array.from({ length: count }, (_, index) => `db-${index}:5432`);

describe('a request that no host can do', () => {
  test.for([
    [
      'a port that there is not',
      { network: { allow: ['db:5432', 'db:99999'] } },
      'network: db:99999: a port is at most 65535',
    ],
    [
      'more names than there are addresses for them',
      { network: { allow: hosts(255) } },
      'network: allow must name at most 254 hosts, and names 255',
    ],
    [
      'less memory than a server needs',
      { resources: { memory: '1' } },
      'resources.memory: must be 64m to 65536g, and is 1',
    ],
    [
      'more memory than there is',
      { resources: { memory: `${'9'.repeat(30)}g` } },
      `resources.memory: must be 64m to 65536g, and is ${'9'.repeat(30)}g`,
    ],
    [
      'a number that goes on',
      { resources: { memory: '9'.repeat(9000) } },
      `resources.memory: must be 64m to 65536g, and is ${'9'.repeat(29)}…`,
    ],
    ['hardly any processor', { resources: { cpus: 1e-9 } }, 'resources.cpus: must be at least 0.01, and is 1e-9'],
    ['no process but one', { resources: { pids: 1 } }, 'resources.pids: must be at least 32, and is 1'],
  ] as const satisfies [string, Partial<CellRequest>, string][])(
    'is told from one that can be done: %s',
    ([, fields, why]) => {
      const fault = impossibleIn(fields);
      expect(`${fault?.field}: ${fault?.why}`).toBe(why);
      expect(parseCellRequest({ ...given, ...fields }), 'workflows that run go on parsing it').toMatchObject({
        ok: true,
      });
    },
  );

  test.for([
    ['no network', { network: 'none' }],
    ['the last port', { network: { allow: ['db:1', 'db:65535'] } }],
    ['as many names as there are addresses', { network: { allow: [...hosts(254), 'db-0:80'] } }],
    ['little', { resources: { memory: '64m', cpus: 0.01, pids: 32 } }],
    ['a lot', { resources: { memory: '65536g', cpus: 1024, pids: 4_194_304 } }],
    ['nothing of the kind', {}],
  ] as const satisfies [string, Partial<CellRequest>][])('is not one with %s', ([, fields]) => {
    expect(impossibleIn(fields)).toBeNull();
  });
});
