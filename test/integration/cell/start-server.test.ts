import { stat, truncate } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { ownerOf, startCellHost } from '../../support/cell-host.ts';

test('a server is seen to listen behind gigabytes that its agent left in the log', async () => {
  await using place = await startCellHost();
  const { cellId, worktree, claimed, request } = await place.spawn();
  const { serverLog } = cellPaths(place.stateDirectory, cellId);
  const gigabytes = 3 * 1024 ** 3;
  // Without a byte on the disk.
  await truncate(serverLog, gigabytes);
  const revived = await place.steps.reviveCell({
    owner: ownerOf(request),
    cellId: claimed.cellId,
    request,
    replace: true,
  });
  expect(revived).toMatchObject({ cellId, worktree });
  expect((await stat(serverLog)).size).toBeGreaterThan(gigabytes);
});
