import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { startCells } from '../support/cells-command.ts';
import { lockedDirectory } from '../support/locked-directory.ts';
import { root } from '../support/source-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', TEMPORAL_CONFIG_FILE: '/dev/null' };
const cells = (...words: string[]) => startCells(env, words);

const commands = [
  'dev',
  'worker',
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
  'stats',
  'history',
  'inspect',
  'supervisor',
  'config',
  'audit',
  'reap',
  'doctor',
  'scripted-model',
  'completion',
];

describe('the usage of cells', () => {
  test('is told by --help, with every command', async () => {
    const { exitCode, stdout } = await cells('--help');
    const named = [...stdout.matchAll(/^ {2}([a-z-]+) .*$/gm)].map(([, name]) => name);
    expect(named).toEqual(expect.arrayContaining(commands));
    expect(exitCode).toBe(0);
  });

  test('is told for each command', async () => {
    const helps = await Promise.all(commands.slice(0, -1).map((name) => cells(name, '--help')));
    expect(helps.map(({ exitCode, stdout }, index) => [commands[index], exitCode, stdout.split('\n')[0]])).toEqual(
      commands
        .slice(0, -1)
        .map((name) => [name, 0, expect.stringMatching(new RegExp(`^Usage: cells ${name} \\[options\\]`))]),
    );
  });

  test('is 2 for a flag or a command that does not exist, with a hint', async () => {
    const [flag, command, missing, word] = await Promise.all([
      cells('run', '--tokenbudget', '5'),
      cells('rnu'),
      cells('scripted-model'),
      cells('show', 'only-a-task'),
    ]);
    expect(flag.stderr).toMatch(/unknown option '--tokenbudget'\n.*--token-budget/);
    expect(command.stderr).toMatch(/unknown command 'rnu'\n.*run/);
    expect(missing.stderr).toContain("required option '-s, --script <file>' not specified");
    expect(word.stderr).toContain('"only-a-task" does not name a cell');
    expect([flag, command, missing, word].map(({ exitCode }) => exitCode)).toEqual([2, 2, 2, 2]);
  });

  test('takes defaults of the host by config, checks them, and says where each comes from', async () => {
    await using directory = await temporaryDirectory();
    const config = (...words: string[]) =>
      startCells({ ...env, XDG_CONFIG_HOME: directory.path }, ['config', ...words], { cwd: directory.path });
    expect((await config('set', 'runtime', 'jail')).exitCode).toBe(2);
    expect((await config('set', 'runtime', 'process')).exitCode).toBe(0);
    expect((await config('get', 'CELLS_RUNTIME')).stdout).toBe('process');
    const { settings } = JSON.parse((await config('list', '--json')).stdout) as { settings: unknown[] };
    expect(settings).toContainEqual({ name: 'CELLS_RUNTIME', value: 'process', source: 'config file' });
    expect((await config('unset', 'runtime')).stderr).toContain('CELLS_RUNTIME is (none), from its default');
    expect((await config('get', 'runtime')).stdout).toBe('(none)');
  });

  test('names a setting that is wrong, and what it may be', async () => {
    const { exitCode, stderr } = await startCells({ ...env, CELLS_PORTS: '80' }, ['worker']);
    expect(stderr).toContain('error: CELLS_PORTS=80 is not allowed: it must be a range of ports such as 9000-9999');
    expect(stderr).not.toContain('    at ');
    expect(exitCode).toBe(2);
  });

  test('says so where this user may not enter the state directory, and what to do', async () => {
    await using locked = await lockedDirectory();
    const own = { ...env, CELLS_STATE_DIR: locked.path, TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const uses = ['worker', 'dev', 'stats --once', 'history', 'inspect c1', 'audit', 'supervisor', 'supervisor --stop'];
    const ended = await Promise.all(uses.map((words) => startCells(own, words.split(' '), locked.user)));
    for (const [index, { exitCode, stderr }] of ended.entries()) {
      const [error, hint, ...rest] = stderr.split('\n').filter((line) => !line.startsWith('{'));
      expect
        .soft(error, uses[index])
        .toContain(`error: the state directory ${locked.path} cannot be used by this user`);
      expect.soft(hint, uses[index]).toMatch(/→ run the command as the user of the worker, or set CELLS_STATE_DIR/);
      expect.soft(rest, uses[index]).toEqual([]);
      expect.soft(exitCode, uses[index]).toBe(2);
    }
  });

  test('names a port that there is not, also that of the Web UI beside Temporal', async () => {
    const [none, noneForUi, model] = await Promise.all([
      cells('dev', '--port', '99999'),
      cells('dev', '--port', '65000'),
      cells('scripted-model', '--script', join(root, 'examples/scripts/demo.yaml'), '--port', '65536'),
    ]);
    expect(none.stderr).toMatch(/^error: --port 99999 is not a port.*\n.*from 0 to 64535/);
    expect(noneForUi.stderr).toMatch(
      /^error: --port 65000 is not a port.*\n.*from 0 to 64535, for the Web UI's is 1000/,
    );
    expect(model.stderr).toMatch(/^error: --port 65536 is not a port.*\n.*from 0 to 65535;/);
    expect([none, noneForUi, model].map(({ exitCode }) => exitCode)).toEqual([2, 2, 2]);
  });

  test('names the repositories of dev without the credentials in their URLs', async () => {
    await using state = await temporaryDirectory();
    const own = { ...env, CELLS_STATE_DIR: state.path, CELLS_RUNTIME: 'process', TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const url = 'https://me:hidden@example.org/one.git';
    const { exitCode, stdout, stderr } = await startCells(own, ['dev', '--repository', url]);
    expect(stdout).toMatch(/^repository +https:\/\/example\.org\/one\.git$/m);
    expect(stdout + stderr).not.toContain('hidden');
    expect(exitCode).toBe(6);
  });

  test('starts no supervisor to end it', async () => {
    await using state = await temporaryDirectory();
    const { exitCode, stderr } = await startCells({ ...env, CELLS_STATE_DIR: state.path }, ['supervisor', '--stop']);
    expect(stderr).toBe(`no supervisor runs on ${state.path}`);
    expect(exitCode).toBe(0);
    expect(await readdir(state.path)).toEqual([]);
  });

  test('completes commands and flags in bash', async () => {
    const { exitCode, stdout } = await cells('completion', 'bash');
    expect(exitCode).toBe(0);
    const { failed } = await execa('bash', ['-n'], { input: stdout, reject: false });
    expect(failed).toBe(false);
    const [names, flags] = await Promise.all([cells('complete', '--', 'ba'), cells('complete', '--', 'run', '--to')]);
    expect(names.stdout).toMatch(/^batch\b/m);
    expect(flags.stdout).toMatch(/^--token-budget\b/m);
  });
});
