import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFigures, withFigures } from '../bench/page/figures.ts';
import { root } from '../support/source-files.ts';

const page = readFileSync(join(root, 'docs/performance.md'), 'utf8');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** What the set-up takes, which the bench does not measure. */
const ofTheSetUp = ['1 GB'];

test('the page of figures shows what the files beside it say', () => {
  const figures = readFigures();
  expect(plain(withFigures(page, figures))).toBe(plain(page));
});

test('the README quotes no figure that the page of figures does not have', () => {
  const quoted = [...readme.matchAll(/\b\d[\d.,]*\s(?:ms|s|seconds|[KMG]i?B|%|times)(?!\w)/g)].map(
    ([figure]) => figure,
  );
  expect(quoted.filter((figure) => !page.includes(figure) && !ofTheSetUp.includes(figure))).toEqual([]);
});

/** Without the spaces and dashes by which columns are aligned. */
const plain = (text: string): string =>
  text
    .replaceAll(/ +/g, ' ')
    .replaceAll(/-{3,}/g, '---')
    .replaceAll(/\n{2,}/g, '\n');
