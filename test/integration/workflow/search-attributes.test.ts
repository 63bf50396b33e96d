import { afterAll, beforeAll, expect, test } from 'vitest';
import { searchAttributes } from '../../../src/domain/search-attributes.ts';
import { type ToldHost, claimed, startToldHost } from '../../support/told-host.ts';

let host: ToldHost;
beforeAll(async () => void (host = await startToldHost()));
afterAll(() => host[Symbol.asyncDispose]());

test.for([
  ['a path of 2,046 bytes whole', 'whole', `/${'a'.repeat(2045)}`, `/${'a'.repeat(2045)}`],
  ['a longer one as far as it goes', 'longer', `/${'a'.repeat(4000)}`, `/${'a'.repeat(2045)}`],
  ['no credentials', 'credentials', 'https://bot:s3cret@host.test/x', 'https://host.test/x'],
  ['no half of a letter', 'letters', `/${'漢'.repeat(1000)}`, `/${'漢'.repeat(681)}`],
] as const)('the attribute for the repository has %s, and the cell goes on', async ([, agentId, repository, shown]) => {
  const claimHost = () => Promise.resolve({ ...claimed, repository });
  const cell = await host.start(agentId, { claimHost }, { repository });
  expect(await cell.result()).toMatchObject({ status: 'committed' });
  const { typedSearchAttributes } = await cell.describe();
  expect(typedSearchAttributes.get(searchAttributes.repository)).toBe(shown);
});
