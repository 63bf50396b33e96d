import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slug } from '../src/slug.js';

test('joins words with hyphens, in lower case', () => {
  assert.equal(slug('Fresh Bread Rolls'), 'fresh-bread-rolls');
});

test('leaves out accents and punctuation', () => {
  assert.equal(slug('  Crème brûlée, 2 pieces! '), 'creme-brulee-2-pieces');
});
