import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { addRequestFlags, fieldsFrom } from '../../../src/cli/request-flags.ts';
import { parseCellRequest } from '../../../src/domain/request.ts';

function requestFrom(...words: string[]): Record<string, unknown> {
  const command = addRequestFlags(new Command().exitOverride().argument('[prompt]')).parse(words, { from: 'user' });
  const [prompt] = command.args;
  return { ...fieldsFrom(command.opts()), ...(prompt === undefined ? {} : { prompt }) };
}

const required = ['--task-id', 't1', '--agent-id', 'a1', 'Do it'];

describe('the flags of run', () => {
  test('leave out every field that is not given', () => {
    expect(requestFrom(...required)).toEqual({ taskId: 't1', agentId: 'a1', prompt: 'Do it' });
  });

  test('give every field of a request', () => {
    const flags =
      '--repository /srv/app --branch dev --agent-type reviewer --model a/b --test-command true --test-timeout 5m --protect test/** --protect *.lock ' +
      '--max-repairs 2 --timeout 60000 --queue-timeout 1h --token-budget 1000 --runtime process --memory 768m --cpus 1.5 --pids 100 ' +
      '--network a.example:443 --env CI=1 --env EMPTY= --commit-message m --priority-key 1 --fairness-key k --fairness-weight 2 --label team=blue=green';
    const request = requestFrom(...flags.split(' '), ...required);
    expect(request).toEqual({
      taskId: 't1',
      agentId: 'a1',
      prompt: 'Do it',
      repository: '/srv/app',
      branch: 'dev',
      agentType: 'reviewer',
      model: 'a/b',
      testCommand: 'true',
      testTimeout: '5m',
      protectedPaths: ['test/**', '*.lock'],
      maxRepairs: 2,
      timeout: 60_000,
      queueTimeout: '1h',
      tokenBudget: 1000,
      runtime: 'process',
      resources: { memory: '768m', cpus: 1.5, pids: 100 },
      network: { allow: ['a.example:443'] },
      env: { CI: '1', EMPTY: '' },
      commitMessage: 'm',
      priority: { priorityKey: 1, fairnessKey: 'k', fairnessWeight: 2 },
      labels: { team: 'blue=green' },
    });
    const parsed = parseCellRequest(request);
    expect(parsed.ok).toBe(true);
    // A field that has no flag would be missing here.
    expect(Object.keys(request).toSorted()).toEqual(Object.keys(parsed.ok ? parsed.request : {}).toSorted());
  });

  test('make a path absolute and leave a URL as it is', () => {
    expect(requestFrom('--repository', '.')['repository']).toBe(process.cwd());
    expect(requestFrom('--repository', 'https://git.example/a.git')['repository']).toBe('https://git.example/a.git');
  });

  test('ask for no network by name', () => {
    expect(requestFrom('--network', 'none')['network']).toBe('none');
  });

  test.for([
    ['--token-budget', 'many', 'tokenBudget: must be a number'],
    ['--token-budget', '0', 'tokenBudget: must be at least 1'],
    ['--token-budget', '1.5', 'tokenBudget: must be a whole number'],
    ['--timeout', '30 parsecs', 'timeout: must be a positive duration'],
    ['--branch', 'a..b', 'branch: must not contain'],
    ['--task-id', '../x', 'taskId: must be 1 to 63'],
    ['--env', 'API_KEY=1', 'looks like a credential'],
  ] as const)('pass %s %s on to be refused by the name of its field', ([flag, value, message]) => {
    const parsed = parseCellRequest(requestFrom(...required, flag, value));
    expect(parsed.ok ? null : parsed.message).toContain(message);
  });

  test('refuse a pair without an equals sign', () => {
    expect(() => requestFrom('--label', 'blue')).toThrow('expected name=value');
  });
});
