import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daysBetween } from '../src/dates.js';

test('counts days over the end of a month', () => {
  assert.equal(daysBetween('2026-02-27', '2026-03-02'), 3);
});

test('the order of the dates does not matter', () => {
  assert.equal(daysBetween('2026-03-02', '2026-02-27'), 3);
});
