import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sum } from '../src/sum.js';

test('adds all numbers', () => {
  assert.equal(sum([1, 2, 3]), 6);
});

test('the sum of nothing is 0', () => {
  assert.equal(sum([]), 0);
});
