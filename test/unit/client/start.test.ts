import { Client, Connection } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { startCell, type CellRequest } from '../../../src/client.ts';

/** Nobody is there: what reaches the network fails differently. */
async function start(request: unknown): Promise<unknown> {
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  try {
    return await startCell(new Client({ connection }), request as CellRequest).catch((error: unknown) => error);
  } finally {
    await connection.close();
  }
}

const mapOf = (count: number, value = '') =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`NAME_${index}`, value]));

const valid = { taskId: 't', agentId: 'a', prompt: 'p' };

describe('starting a cell', () => {
  test.for([
    ['a missing agent id', { taskId: 't', prompt: 'p' }, 'agentId is required'],
    ['a missing task id', { agentId: 'a', prompt: 'p' }, 'taskId is required'],
    ['an unknown field', { ...valid, promt: 'p' }, 'promt is not a field of a request'],
    ['a prompt of 300 KiB', { ...valid, prompt: 'x'.repeat(300 * 1024) }, 'prompt: must be at most 256 KiB'],
    ['a branch that is a trick', { ...valid, branch: '-b' }, 'branch: must not be empty or begin with "-"'],
    [
      'a map of too many labels',
      { ...valid, labels: mapOf(129) },
      'labels: must have at most 128 entries, and has 129',
    ],
    ['a map of too many variables', { ...valid, env: mapOf(200) }, 'env: must have at most 128 entries, and has 200'],
    [
      'a request that is too large as a whole',
      { ...valid, env: mapOf(40, 'x'.repeat(30_000)) },
      'request: must be at most 1048576 bytes as JSON, and is 12',
    ],
    [
      'a port that there is not',
      { ...valid, network: { allow: ['db:99999'] } },
      'network: db:99999: a port is at most 65535',
    ],
    [
      'memory in which no server starts',
      { ...valid, resources: { memory: '1' } },
      'resources.memory: must be 64m to 65536g, and is 1',
    ],
    ['something that is no object', 'run it', 'the request must be an object'],
  ] as const)('refuses %s by name, before anything is sent', async ([, request, message]) => {
    const error = await start(request);
    expect(error).toMatchObject({ name: 'UserError', code: 'InvalidCellRequest' });
    expect(String(error)).toContain(message);
  });
});
