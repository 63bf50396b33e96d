import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { failures } from '../../src/domain/failures.ts';
import { root } from '../support/source-files.ts';

const page = readFileSync(join(root, 'docs/failures.md'), 'utf8');

/** The sections whose heading is a name, in the order of the page. */
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split('\n', 1)[0] ?? '', section] as const)
    .filter(([heading]) => /^[A-Z]\S*$/.test(heading)),
);

describe('docs/failures.md', () => {
  test('has every failure, in the same order, and no other', () => {
    expect([...sections.keys()]).toEqual(Object.keys(failures));
  });

  test.each(Object.entries(failures))('says of %s what the product says', (name, { means, retryable, try: hint }) => {
    const section = sections.get(name) ?? '';
    expect(lineOf(section, 'Means')).toBe(means);
    expect(lineOf(section, 'Retryable')).toBe(retryable ? 'yes' : 'no');
    expect(lineOf(section, 'Try')).toBe(hint);
  });

  test.each(Object.keys(failures))('says more of %s than the product does', (name) => {
    const [, explanation = ''] = (sections.get(name) ?? '').split(/^- \*\*Try:\*\* .*$/m);
    expect(explanation.trim().length).toBeGreaterThan(80);
  });
});

const lineOf = (section: string, label: string): string | undefined =>
  new RegExp(`^- \\*\\*${label}:\\*\\* (.*)$`, 'm').exec(section)?.[1];
