import { appendFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLedger } from '../../../src/gateway/ledger.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const tokens = { input: 10, output: 5, reasoning: 1, cacheRead: 2, cacheWrite: 3, total: 21 };

test('the account of a cell adds up, and another gateway finds it as it was', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'ledger.jsonl');
  const ledger = await openLedger(file);
  const settle = await ledger.enter('a/one', 12);
  await settle({ model: 'a/one', tokens, estimated: false, cost: 0.25 });
  const settleAgain = await ledger.enter('a/one', 12);
  await settleAgain({ model: 'a/one', tokens, estimated: true, cost: null });
  const totals = {
    requests: 2,
    tokens: { input: 20, output: 10, reasoning: 2, cacheRead: 4, cacheWrite: 6, total: 42 },
    estimated: 21,
    cost: 0.25,
  };
  expect(ledger.totals()).toEqual(totals);
  expect((await openLedger(file)).totals()).toEqual(totals);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('a request that was sent and never settled counts with its estimate when the gateway comes back', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'ledger.jsonl');
  await (await openLedger(file)).enter('a/one', 12);
  expect((await openLedger(file)).totals()).toMatchObject({
    requests: 1,
    tokens: { input: 12, total: 12 },
    estimated: 12,
  });
});

test('a line that is cut off does not hide the others', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'ledger.jsonl');
  const settle = await (await openLedger(file)).enter('a/one', 12);
  await settle({ model: 'a/one', tokens, estimated: false, cost: null });
  const line = (await readFile(file, 'utf8')).split('\n')[0] ?? '';
  await appendFile(file, line.slice(0, 20));
  const again = await openLedger(file);
  expect(again.totals()).toMatchObject({ requests: 1, tokens: { total: 21 } });
  await (
    await again.enter('a/two', 4)
  )({ model: 'a/two', tokens, estimated: false, cost: null });
  expect((await openLedger(file)).totals()).toMatchObject({ requests: 2, tokens: { total: 42 }, estimated: 0 });
});
