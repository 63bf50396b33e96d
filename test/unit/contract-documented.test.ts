import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../src/config.ts';
import { millisecondsOf } from '../../src/domain/duration.ts';
import { type Transition, lifecycles, mayFollow, steps } from '../../src/domain/lifecycle.ts';
import {
  branchOf,
  claimTaskQueue,
  hostTaskQueue,
  revertedRefOf,
  supersededRefOf,
  workflowIdOf,
  workflowTaskQueue,
} from '../../src/domain/names.ts';
import { type CellRequest, parseCellRequest } from '../../src/domain/request.ts';
import { requiredSearchAttributes } from '../../src/domain/search-attributes.ts';
import { metrics } from '../../src/telemetry/metrics.ts';
import { root } from '../support/source-files.ts';

const page = readFileSync(join(root, 'docs/contract.md'), 'utf8');

describe('docs/contract.md', () => {
  test('has the names that the product uses', () => {
    const ids = { taskId: '<taskId>', agentId: '<agentId>' };
    expect(rowsUnder('Names').map(([, name]) => code(name))).toEqual([
      'agentCell',
      workflowTaskQueue,
      claimTaskQueue,
      hostTaskQueue('<hostId>'),
      workflowIdOf(ids),
      branchOf(ids),
      revertedRefOf('<cellId>'),
      supersededRefOf('<cellId>'),
    ]);
  });

  test('has every field of a request, with its default', () => {
    const rows = rowsUnder('The request');
    expect(rows.map(([field]) => code(field)).toSorted()).toEqual(Object.keys(everyField).toSorted());
    const parsed = parseCellRequest({ agentId: 'a', taskId: 't', prompt: 'p' });
    const defaults = Object.entries(parsed.ok ? parsed.request : {}).filter(
      ([field]) => !['agentId', 'taskId', 'prompt'].includes(field),
    );
    const documented = rows
      .filter(([, , value = '']) => value.startsWith('`'))
      .map(([field, , value]) => [code(field), valueOf(code(value))]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(defaults));
  });

  test('has the steps, and what may follow each lifecycle', () => {
    expect(page).toContain(steps.map((step) => `\`${step}\``).join(', '));
    expect(
      rowsUnder('Lifecycle').map(([from, to = '']) => [
        code(from),
        [...to.matchAll(/`(\w+)`/g)].map(([, name]) => name),
      ]),
    ).toEqual(
      lifecycles.map((from) => [from, lifecycles.filter((to) => to !== from && mayFollow(from, to)).toSorted(byTable)]),
    );
  });

  test('has what an entry of the history holds', () => {
    const entry: Required<Transition> = { lifecycle: 'error', step: 'execute', at: 0, reason: 'why' };
    const optional: (keyof Transition)[] = ['reason'];
    const fields = Object.keys(entry).map((name) => (optional.some((other) => other === name) ? `${name}?` : name));
    expect(page).toContain(`\`{${fields.join(', ')}}\``);
  });

  test('has the search attributes', () => {
    expect(rowsUnder('Search attributes').map(([name, type]) => ({ name: code(name), type }))).toEqual(
      requiredSearchAttributes,
    );
  });

  test('has the metrics', () => {
    expect(rowsUnder('Metrics')).toEqual(
      Object.values(metrics).map(({ name, kind, labels, description }) => [
        `\`${name}\``,
        kind,
        labels.map((label) => `\`${label}\``).join(', '),
        description,
      ]),
    );
  });

  test('has the settings, with the defaults that are the same on every machine', () => {
    const rows = rowsUnder('Settings of a worker');
    const settings = describeConfig({}, { dotenv: null }).filter(({ name }) => name.startsWith('CELLS_'));
    expect(rows.map(([name]) => code(name))).toEqual(settings.map(({ name }) => name));
    const constant = rows.flatMap(([name, value = '']) => (/^`[^`]+`$/.test(value) ? [[code(name), code(value)]] : []));
    expect(constant.length).toBeGreaterThan(5);
    expect(settings.map(({ name, value }) => [name, value])).toEqual(expect.arrayContaining(constant));
  });
});

/** The compiler finds a field that is missing here. */
const everyField: Record<keyof CellRequest, true> = {
  agentId: true,
  taskId: true,
  prompt: true,
  repository: true,
  branch: true,
  agentType: true,
  model: true,
  testCommand: true,
  testTimeout: true,
  protectedPaths: true,
  maxRepairs: true,
  timeout: true,
  queueTimeout: true,
  tokenBudget: true,
  runtime: true,
  resources: true,
  network: true,
  env: true,
  commitMessage: true,
  priority: true,
  labels: true,
};

/** The table says the way that succeeds first: in the order of `lifecycles`. */
const byTable = (one: (typeof lifecycles)[number], other: (typeof lifecycles)[number]): number =>
  lifecycles.indexOf(one) - lifecycles.indexOf(other);

/** The rows of the first table below a heading, without its head, cell by cell. */
function rowsUnder(heading: string): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  const table = /^\|.*\|$(?:\n\|.*\|$)*/m.exec(section)?.[0] ?? '';
  return table
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** What stands between the first backticks. */
const code = (cell = ''): string => /`([^`]+)`/.exec(cell)?.[1] ?? '';

/** A default as the product has it: durations in milliseconds. */
function valueOf(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return typeof value === 'string' ? (millisecondsOf(value) ?? value) : value;
}
