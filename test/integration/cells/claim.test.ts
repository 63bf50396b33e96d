import { expect, test } from 'vitest';
import { ownerOf, requestOf, startCellHost } from '../../support/cell-host.ts';

test('a claim says which repository it is, and not by which credentials the host fetches it', async () => {
  await using place = await startCellHost({ env: { CELLS_REPOSITORY: 'https://bot:s3cret@host.test/x.git' } });
  const request = requestOf({ agentId: 'claimed' });
  const claimed = await place.steps.claimHost({ owner: ownerOf(request), request });
  expect(claimed.repository).toBe('https://host.test/x.git');
});
