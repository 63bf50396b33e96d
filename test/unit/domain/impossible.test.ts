import { describe, expect, test } from 'vitest';
import { impossibleIn } from '../../../src/domain/impossible.ts';
import { type CellRequest, parseCellRequest } from '../../../src/domain/request.ts';

const given = { taskId: 'task', agentId: 'agent', prompt: 'Do it.' };
const hosts = (count: number) => Array.from({ length: count }, (_, index) => `db-${index}:5432`);

describe('a request that no host can do', () => {
  test.for([
    ['a port that there is not', { network: { allow: ['db:5432', 'db:99999'] } }, 'db:99999: a port is at most 65535'],
    [
      'more names than there are addresses for them',
      { network: { allow: hosts(255) } },
      'allow must name at most 254 hosts, and names 255',
    ],
  ] as const satisfies [string, Partial<CellRequest>, string][])(
    'is told from one that can be done: %s',
    ([, fields, why]) => {
      expect(impossibleIn(fields)).toEqual({ field: Object.keys(fields)[0], why });
      expect(parseCellRequest({ ...given, ...fields }), 'workflows that run go on parsing it').toMatchObject({
        ok: true,
      });
    },
  );

  test.for([
    ['no network', { network: 'none' }],
    ['the last port', { network: { allow: ['db:1', 'db:65535'] } }],
    ['as many names as there are addresses', { network: { allow: [...hosts(254), 'db-0:80'] } }],
    ['nothing of the kind', {}],
  ] as const satisfies [string, Partial<CellRequest>][])('is not one with %s', ([, fields]) => {
    expect(impossibleIn(fields)).toBeNull();
  });
});
