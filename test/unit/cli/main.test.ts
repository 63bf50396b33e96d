import { Readable, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { main } from '../../../src/cli/main.ts';

async function cells(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const into = (lines: string[]) =>
    new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const code = await main(argv, { stdin: Readable.from([]), stdout: into(out), stderr: into(err) });
  return { code, stdout: out.join(''), stderr: err.join('') };
}

// The first of them loads the client of Temporal.
describe('the command', { timeout: 60_000 }, () => {
  test('explains itself', async () => {
    const { code, stdout } = await cells('--help');
    expect(code).toBe(0);
    for (const name of [
      'dev',
      'worker',
      'run',
      'batch',
      'list',
      'show',
      'logs',
      'attach',
      'cancel',
      'reap',
      'doctor',
      'scripted-model',
      'completion',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  test.for([
    'run',
    'batch',
    'list',
    'show',
    'logs',
    'attach',
    'prompt',
    'extend',
    'abort',
    'cancel',
    'doctor',
    'scripted-model',
  ])('explains %s', async (name) => {
    const { code, stdout } = await cells(name, '--help');
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: cells ${name}`);
  });

  test('refuses an unknown command and names the one that was meant', async () => {
    const { code, stderr } = await cells('lst');
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean list?');
  });

  test('refuses an unknown flag', async () => {
    const { code, stderr } = await cells('list', '--staus', 'failed');
    expect(code).toBe(2);
    expect(stderr).toContain('--status');
  });

  test.for([
    [['run', '--agent-id', 'a', 'Do it'], 'taskId is required'],
    [['run', '--task-id', 't', '--agent-id', 'a'], 'prompt is required'],
    [['run', '--task-id', 't', '--agent-id', 'a/b', 'Do it'], 'agentId: must be'],
    [['show', 'x'], 'does not name a cell'],
    [['extend', 't/a'], 'nothing to extend by'],
    [['list', '--limit', 'all'], 'not a count'],
    [['logs', 't/a', '--json'], '--json goes with --transcript'],
    [['logs', 't/a', '--diff', '--json'], '--json goes with --transcript'],
    [['network', 'validate', 'db'], 'db is not a target'],
    [['network', 'validate', 'db:99999'], 'db:99999: a port is at most 65535'],
    [['batch', '/nonexistent.yaml'], 'cannot read /nonexistent.yaml'],
  ] as const)('refuses %j before it asks Temporal, with one message and no stack', async ([argv, message]) => {
    const { code, stdout, stderr } = await cells(...argv);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('→');
    expect(stderr).not.toContain('    at ');
    expect(stdout).toBe('');
  });
});
