import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { metrics } from '../../../src/telemetry/metrics.ts';
import { root } from '../../support/source-files.ts';

const names = new Set<string>(Object.values(metrics).map(({ name }) => name));

test('every metric has a name of Prometheus form, with its unit, and says what it means', () => {
  for (const { name, kind, unit, description } of Object.values(metrics)) {
    expect(name).toMatch(/^cells_[a-z_]+$/);
    expect({ name, total: name.endsWith('_total') }).toEqual({ name, total: kind === 'counter' });
    expect({ name, seconds: name.endsWith('_seconds') }).toEqual({ name, seconds: unit === 's' });
    expect(description).toMatch(/^[A-Z].{10,}/);
  }
});

test('the documents name no metric that does not exist', () => {
  const documents = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const named = documents.flatMap((document) => {
    const text = readFileSync(join(root, 'docs', document), 'utf8');
    return [...text.matchAll(/\bcells_[a-z_]+[a-z]\b/g)].map(([name]) => ({
      document,
      name: name.replace(/_(bucket|sum|count)$/, ''),
    }));
  });
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter(({ name }) => !names.has(name))).toEqual([]);
});
