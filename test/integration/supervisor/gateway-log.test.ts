import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { supervisedGateway } from '../../../src/supervisor/supervised-gateway.ts';
import { ask, chat, realKey, routeTo } from '../../support/gateway.ts';
import { supervisedCell } from '../../support/supervised-cell.ts';

test('the log of a supervisor says why its gateway could not pass a request on, once for many, and has no key in it', async () => {
  await using cell = await supervisedCell();
  const { cellId, stateDirectory } = cell;
  const gateway = supervisedGateway(cell.client);
  const { modelLedger } = cellPaths(stateDirectory, cellId);
  await mkdir(dirname(modelLedger), { recursive: true });
  const routes = [routeTo('http://127.0.0.1:1/v1', { usageUnasked: true })];
  const door = await gateway.open({ cellId, tokenBudget: 1_000_000, routes });
  // Nothing can be written down there.
  await mkdir(modelLedger);
  for (let count = 0; count < 3; count += 1) expect((await ask(door, chat('talks'))).status).toBe(500);
  await gateway.close(cellId);
  const log = await readFile(join(stateDirectory, 'supervisor.log'), 'utf8');
  expect(log.match(/the model gateway failed (a request|2 more requests) of the cell [0-9a-f]{16}: .*EISDIR/g)).toEqual(
    [
      expect.stringContaining(`a request of the cell ${cellId}`),
      expect.stringContaining(`2 more requests of the cell ${cellId}`),
    ],
  );
  expect(log).not.toContain(realKey);
});
