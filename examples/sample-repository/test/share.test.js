import assert from 'node:assert/strict';
import { test } from 'node:test';
import { share } from '../src/share.js';

const shares = share(100, 3);

test('every share is a whole number of cents', () => {
  assert.ok(shares.every(Number.isInteger), `the shares are ${shares.join(', ')}`);
});

test('the shares add up to the amount', () => {
  const total = shares.reduce((left, right) => left + right, 0);
  assert.equal(total, 100);
});

test('all shares are equal', () => {
  assert.equal(new Set(shares).size, 1, `the shares are ${shares.join(', ')}`);
});
