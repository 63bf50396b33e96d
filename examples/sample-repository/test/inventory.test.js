import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reserve } from '../src/inventory.js';

test('takes what is reserved from the stock', () => {
  assert.deepEqual(reserve([{ name: 'bread', count: 3 }], 'bread', 2), [{ name: 'bread', count: 1 }]);
});

test('leaves the list that it was given alone', () => {
  const stock = [{ name: 'bread', count: 3 }];
  reserve(stock, 'bread', 2);
  assert.deepEqual(stock, [{ name: 'bread', count: 3 }]);
});
