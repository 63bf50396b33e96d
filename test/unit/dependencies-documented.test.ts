import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../support/source-files.ts';

type Packages = Record<string, string>;

const page = readFileSync(join(root, 'docs/decisions/dependencies.md'), 'utf8');
// npm has read the file before any test runs.
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Packages;
  devDependencies: Packages;
};

test.each([
  ['What runs', manifest.dependencies],
  ['What checks', manifest.devDependencies],
])(
  'docs/decisions/dependencies.md says under "%s" why each package is there, and names no other',
  (heading, packages) => {
    const reasons = reasonsUnder(heading);
    expect([...reasons.keys()]).toEqual(Object.keys(packages).toSorted());
    expect([...reasons].filter(([, reason]) => reason.trim() === '')).toEqual([]);
  },
);

/** The rows of the table below a heading: package and reason. */
function reasonsUnder(heading: string): Map<string, string> {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const rows = (section.split('\n## ')[0] ?? '').matchAll(/^\| `([^`]+)` *\|(.*)\|$/gm);
  return new Map([...rows].map(([, name = '', reason = '']) => [name, reason]));
}
