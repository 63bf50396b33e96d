import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { millisecondsOf } from '../../../src/domain/duration.ts';
import { parseCellRequest } from '../../../src/domain/request.ts';
import { badRequests } from '../../support/bad-requests.ts';

const good = { taskId: 'task', agentId: 'agent', prompt: 'Do it.' };

describe('a request that names only what is required', () => {
  test('gets the defaults of the contract', () => {
    expect(parseCellRequest(good)).toEqual({
      ok: true,
      request: {
        ...good,
        branch: 'main',
        agentType: 'worker',
        testTimeout: 600_000,
        protectedPaths: [],
        maxRepairs: 1,
        timeout: 1_800_000,
        queueTimeout: 86_400_000,
        tokenBudget: 50_000,
        env: {},
        labels: {},
      },
    });
  });
});

describe('a request that names everything', () => {
  test('is taken as it is, with its durations in milliseconds', () => {
    const full = {
      ...good,
      repository: 'https://example.com/a.git',
      branch: 'feature/größe-2',
      agentType: 'reviewer',
      model: 'provider/model:tag',
      testCommand: 'npm test',
      testTimeout: '90s',
      protectedPaths: ['test/**', '*.lock'],
      maxRepairs: 0,
      timeout: 90_000,
      queueTimeout: '1.5h',
      tokenBudget: 1,
      runtime: 'process',
      resources: { memory: '768m', cpus: 0.5, pids: 100 },
      network: { allow: ['registry.example.com:443', 'main_db:5432'] },
      env: { NODE_ENV: 'test', DATABASE_URL: '' },
      commitMessage: 'Fix it',
      priority: { priorityKey: 1, fairnessKey: 'team', fairnessWeight: 2.5 },
      labels: { team: 'a', 'any name': '' },
    };
    expect(parseCellRequest(full)).toEqual({
      ok: true,
      request: { ...full, testTimeout: 90_000, queueTimeout: 5_400_000 },
    });
  });
});

describe('a bad request is refused with the name of the field', () => {
  test.each(badRequests)('$what', ({ input, field }) => {
    const parsed = parseCellRequest(input);
    expect(parsed).toMatchObject({ ok: false, field });
    const { message } = parsed as { message: string }; // it was refused, as the line above says
    expect(message.startsWith(field)).toBe(true);
    expect(message.length).toBeLessThan(400);
  });

  test.each([undefined, null, 5, true, 'x'.repeat(300_000)])('an input that is no object', (input) => {
    const parsed = parseCellRequest(input);
    expect(parsed).toMatchObject({ ok: false, field: '' });
    expect(parsed).toHaveProperty('message', expect.stringMatching(/^the request must be an object, not .{1,100}$/));
  });

  test('a field with a value of the wrong kind is not said to be missing', () => {
    expect(parseCellRequest({ ...good, resources: 5 })).toHaveProperty(
      'message',
      'resources: must be an object, not 5',
    );
  });

  test('the name of an unknown field cannot hide what is wrong', () => {
    const name = `x\u202E\n${'y'.repeat(10_000)}`;
    const parsed = parseCellRequest({ ...good, [name]: 1 });
    expect(parsed).toHaveProperty('message', expect.stringMatching(/^[ -~…]{1,200}$/));
  });
});

describe('whatever is sent', () => {
  test('is either refused in words or parsed, and never throws', () => {
    fc.assert(
      fc.property(fc.object({ withNullPrototype: true, withDate: true, withMap: true, maxDepth: 3 }), (patch) => {
        const parsed = parseCellRequest({ ...good, ...patch });
        expect(parsed.ok || parsed.message.length > 0).toBe(true);
      }),
    );
  });
});

describe('a duration', () => {
  const units = { ms: 1, s: 1000, sec: 1000, m: 60_000, minutes: 60_000, h: 3_600_000, d: 86_400_000 };

  test('is the product of its number and its unit', () => {
    const unit = fc.constantFrom(...Object.entries(units));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        unit,
        fc.constantFrom('', ' '),
        (count, [name, size], space) => {
          expect(millisecondsOf(`${count}${space}${name}`)).toBe(count * size);
          expect(millisecondsOf(count)).toBe(count);
        },
      ),
    );
  });

  test('is a positive whole number of milliseconds or nothing', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'0159.-+e smhdy'.split('')) }),
      fc.double(),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const value = millisecondsOf(text);
        expect(value === null || (Number.isSafeInteger(value) && value >= 1) || value > 2 ** 53).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    '5',
    '',
    ' ',
    '30 parsecs',
    '-5m',
    '0s',
    '1e3s',
    's',
    '5 m m',
    '٥s',
    'NaN',
    'Infinity',
    0,
    -1,
    Number.NaN,
  ])('is not %j', (text) => {
    expect(millisecondsOf(text)).toBeNull();
  });
});
