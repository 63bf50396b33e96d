import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { parseBatch, parseDocument, readInput } from '../../../src/cli/request-files.ts';
import { UserError } from '../../../src/domain/user-error.ts';

const one = { taskId: 't', agentId: 'a', prompt: 'p' };
const two = { ...one, agentId: 'b', timeout: '5m' };

describe('a batch', () => {
  test.for([
    ['JSON lines', `${JSON.stringify(one)}\n\n${JSON.stringify(two)}\n`],
    ['a JSON list', JSON.stringify([one, two], null, 2)],
    ['a YAML list', '- {taskId: t, agentId: a, prompt: p}\n- taskId: t\n  agentId: b\n  prompt: p\n  timeout: 5m\n'],
  ] as const)('is read from %s, each request as it was written', ([, content]) => {
    expect(parseBatch(content, 'f')).toEqual([one, two]);
  });

  test('is refused as a whole, with every fault by its line', () => {
    const content = [one, { ...two, modle: 'x' }, { taskId: 't', agentId: 'c' }]
      .map((value) => JSON.stringify(value))
      .join('\n');
    const parse = () => parseBatch(content, 'tasks.jsonl');
    expect(parse).toThrow('nothing was started');
    expect(parse).toThrow('line 2: modle is not a field of a request');
    expect(parse).toThrow('line 3: prompt is required');
  });

  test('is refused when it is longer than a batch may be', () => {
    const many = Array.from({ length: 10_001 }, () => '{}').join('\n');
    expect(() => parseBatch(many, 'f')).toThrow('f holds 10001 requests, and the limit of a batch is 10000');
  });

  test('is refused when a request is too large, by its line', () => {
    const labels = Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`l${index}`, '']));
    expect(() => parseBatch(JSON.stringify({ ...one, labels }), 'f')).toThrow(
      'line 1: labels: must have at most 128 entries, and has 129',
    );
  });

  test('is refused when a request asks for what no host can do, by its line', () => {
    const content = [
      one,
      { ...two, resources: { memory: '1' } },
      { ...one, agentId: 'c', network: { allow: ['db:99999'] } },
    ];
    const parse = () => parseBatch(content.map((value) => JSON.stringify(value)).join('\n'), 'f');
    expect(parse).toThrow('line 2: resources.memory: must be 64m to 65536g, and is 1');
    expect(parse).toThrow('line 3: network: db:99999: a port is at most 65535');
  });

  test('is refused when two requests are of the same task and agent', () => {
    expect(() => parseBatch(JSON.stringify([one, two, one]), 'f')).toThrow(
      'item 3: task t and agent a are those of item 1',
    );
  });

  test.for([
    ['one request that is not a list', 'taskId: t', 'holds no list'],
    ['broken YAML', '[{', 'neither YAML nor JSON'],
  ] as const)('is not %s', ([, content, message]) => {
    expect(() => parseBatch(content, 'f')).toThrow(message);
  });
});

test('standard input is read for a dash', async () => {
  expect(await readInput('-', { stdin: Readable.from(['a: ', '1\n']) })).toBe('a: 1\n');
});

test('a file that is not there is an error that names it', async () => {
  await expect(readInput('/nonexistent/tasks.yaml', { stdin: Readable.from([]) })).rejects.toThrow(
    'cannot read /nonexistent/tasks.yaml',
  );
});

test('a request file may be YAML or JSON', () => {
  expect(parseDocument('{"taskId": "t"}', 'f')).toEqual({ taskId: 't' });
  expect(parseDocument('taskId: t', 'f')).toEqual({ taskId: 't' });
});

/** Each level holds the one before ten times. */
const aliases = (levels: number) =>
  Array.from({ length: levels }, (_, level) =>
    level === 0
      ? 'l0: &l0 [x]\n'
      : `l${level}: &l${level} [${Array(10)
          .fill(`*l${level - 1}`)
          .join(', ')}]\n`,
  ).join('');

test.for([
  ['names an alias that does not exist', 'prompt: *bold\n'],
  ['has more aliases than a parser takes', aliases(5)],
] as const)('a request file that %s is the fault of its writer', ([, content]) => {
  const parse = () => parseDocument(content, 'request.yaml');
  expect(parse).toThrow(UserError);
  expect(parse).toThrow(/^request\.yaml is neither YAML nor JSON: .*alias/);
});
