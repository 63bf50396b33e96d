import { existsSync } from 'node:fs';
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { describe, expect, inject, test } from 'vitest';
import { cellMarker } from '../../src/domain/names.ts';
import { startCells, startAlone } from '../support/cells-command.ts';
import { processesMarked, runningProcesses } from '../support/processes.ts';
import { writeProgram } from '../support/programs.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { temporaryRepository } from '../support/temporary-repository.ts';
import { accepts, processesLeft, remainsOf, userIn } from '../support/user.ts';

const suite = fileURLToPath(new URL('../fixtures/scripts/suite.yaml', import.meta.url));

// Where a server was given there may be no program to start another with.
describe.skipIf(inject('temporalUiAddress') === null)('cells dev', () => {
  test('brings up all that a cell needs, and takes it away again with the cells that run', async () => {
    await using home = await temporaryDirectory();
    await using repository = await temporaryRepository();
    const env = userIn(home.path);
    const dev = startCells(env, ['dev', '--port', '0', '--script', suite, '--repository', repository.path]);
    let [said, announced] = ['', ''];
    dev.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    dev.stdout.on('data', (chunk: Buffer) => (announced += chunk.toString()));
    const isReady = () => /^ready$/m.test(said) || dev.exitCode !== null;
    await waitFor(isReady, { interval: 100, timeout: 120_000 });
    const address = /^Temporal +(127\.0\.0\.1:\d+)$/m.exec(announced)?.[1] ?? '';
    const uiAddress = /^Web UI +(http:\S+)$/m.exec(announced)?.[1] ?? '';
    expect((await fetch(uiAddress)).ok).toBe(true);

    const here = { ...env, TEMPORAL_ADDRESS: address };
    const run = (agentId: string, script: string, ...words: string[]) =>
      startCells(here, ['run', '--task-id', 't', '--agent-id', agentId, ...words, `Do it. [script: ${script}]`]);
    expect((await run('a1', 'edit-file')).exitCode).toBe(0);
    expect(await repository.git('log', '-1', '--format=%s', 'cells/t/a1')).not.toBe('');
    await run('a2', 'slow', '--detach');
    const atWork = async () => tokensIn((await startCells(here, ['show', 't/a2', '--json'])).stdout) > 0;
    await waitFor(atWork, { interval: 500, timeout: 90_000 });

    dev.kill('SIGINT');
    const { exitCode } = await dev;
    expect(said).toContain('ending 1 cell;');
    expect(exitCode).toBe(0);
    await expectNothingLeft(home.path, address);
    expect(await repository.git('worktree', 'list')).not.toContain('\n');
    expect(await repository.git('for-each-ref', '--format=%(refname)', 'refs/cells')).toMatch(
      /^refs\/cells\/reverted\/[0-9a-f]+$/,
    );
  });

  test.each([
    ['still looks for a server', ''],
    ['waits for its server to start', 'test "$1" = --version && echo temporal version 1 && exit; '],
  ])('ends with 130 on Ctrl-C while it %s', async (_, known) => {
    await using home = await temporaryDirectory();
    const reached = join(home.path, 'reached');
    await writeProgram(join(home.path, 'bin/temporal'), `${known}echo > '${reached}'; exec sleep 600`);
    const env = userIn(home.path);
    const dev = startCells({ ...env, PATH: `${home.path}/bin:${env['PATH']}` }, ['dev', '--port', '0']);
    await waitFor(() => existsSync(reached), { interval: 20, timeout: 60_000 });
    dev.kill('SIGINT');
    const { exitCode, stderr } = await dev;
    expect(stderr).toBe('');
    expect(exitCode).toBe(130);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('ends with 130 on Ctrl-C while it reads its script, and takes its server away', async () => {
    await using home = await temporaryDirectory();
    const script = join(home.path, 'script.yaml');
    await execa('mkfifo', [script]);
    // Without the script around it: the signal is to be there before the file is.
    const flags = ['dev', '--port', '0', '--script', script];
    const dev = startAlone(userIn(home.path), flags, { timeout: 120_000 });
    // It can be opened when somebody reads it: the server is up then.
    const written = await open(script, 'w');
    dev.kill('SIGINT');
    await written.writeFile(await readFile(suite));
    await written.close();
    const { exitCode, stderr } = await dev;
    expect(stderr).not.toContain('ready');
    expect(exitCode).toBe(130);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('says that its server does not start, and why', async () => {
    await using home = await temporaryDirectory();
    const file = join(home.path, 'nowhere/t.db');
    const dev = await startCells(userIn(home.path), ['dev', '--port', '0', '--db-filename', file]);
    expect(dev.stderr).toMatch(/^error: the Temporal server ended before it served .*temporal\.log ends with:$/m);
    expect(dev.stderr).toMatch(new RegExp(`→ .*whether ${file} can be made`));
    expect(dev.stderr).not.toContain('    at ');
    expect(dev.exitCode).toBe(6);
  });

  test('ends with 6, and says so, when its server does', async () => {
    await using home = await temporaryDirectory();
    const dev = startCells(userIn(home.path), ['dev', '--port', '0', '--script', suite]);
    let said = '';
    dev.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitFor(() => /^ready$/m.test(said) || dev.exitCode !== null, { interval: 100, timeout: 120_000 });
    const server = (await runningProcesses()).find(
      ({ command, environment }) => command.includes('server start-dev') && isIn(home.path, environment),
    );
    if (server === undefined) throw new Error(`no server runs: ${said}`);
    process.kill(server.pid, 'SIGKILL');
    const { exitCode, stderr } = await dev;
    expect(stderr).toMatch(/^error: the Temporal server has ended/m);
    expect(stderr).toMatch(/→ .*temporal\.log/);
    expect(stderr).not.toContain('    at ');
    expect(exitCode).toBe(6);
    expect(await remainsOf(home.path)).toEqual([]);
  });

  test('takes its cells along when it is killed', async () => {
    await using home = await temporaryDirectory();
    await using repository = await temporaryRepository();
    const env = { ...userIn(home.path), CELLS_SILENCE_LIMIT: '10m' };
    const flags = ['--port', '0', '--script', suite, '--repository', repository.path];
    // Without the script around it: that one would be killed in its stead.
    const dev = startAlone(env, ['dev', ...flags]);
    let announced = '';
    dev.stdout.on('data', (chunk: Buffer) => (announced += chunk.toString()));
    const address = () => /^Temporal +(127\.0\.0\.1:\d+)$/m.exec(announced)?.[1];
    await waitFor(() => address() !== undefined || dev.exitCode !== null, { interval: 100, timeout: 120_000 });
    const here = { ...env, TEMPORAL_ADDRESS: address() ?? '' };
    await startCells(here, ['run', '--task-id', 't', '--agent-id', 'a', '--detach', 'Do it. [script: slow]']);
    const cell = async () =>
      (await processesMarked(cellMarker)).filter(({ environment }) => isIn(home.path, environment));
    await waitFor(async () => (await cell()).length > 0, { interval: 200, timeout: 120_000 });

    dev.kill('SIGKILL');
    await dev;
    expect(await processesLeft(home.path)).toEqual([]);
    expect(await accepts(address() ?? '')).toBe(false);
  });
});

const isIn = (home: string, environment: readonly string[]): boolean =>
  environment.some((entry) => entry.includes(home));

/** What the shown cell has used: more than nothing when its agent has written its file. */
function tokensIn(shown: string): number {
  const { state } = JSON.parse(shown) as { state: { tokens: { total: number } } };
  return state.tokens.total;
}

async function expectNothingLeft(home: string, address: string): Promise<void> {
  expect(await remainsOf(home)).toEqual([]);
  expect(await accepts(address)).toBe(false);
  const state = join(home, 'state', 'agent-cells');
  const held = await Promise.all(['cells', 'ports', 'worktrees'].map((kind) => readdir(join(state, kind))));
  expect(held.flat()).toEqual([]);
}

describe('cells scripted-model', () => {
  test('plays a file of scripts to any OpenAI client until it is told to end', async () => {
    const model = startCells({ PATH: process.env['PATH'] ?? '' }, ['scripted-model', '--script', suite, '--json']);
    const [line] = (await once(model.stdout, 'data')) as [Buffer];
    const { url, scripts } = JSON.parse(line.toString()) as { url: string; scripts: string[] };
    expect(scripts).toContain('edit-file');
    const answer = await fetch(`${url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'default', messages: [{ role: 'user', content: 'Do it. [script: unchanged]' }] }),
    });
    expect(await answer.json()).toMatchObject({ choices: [{ message: { content: 'There is nothing to do here.' } }] });
    model.kill('SIGTERM');
    expect((await model).exitCode).toBe(0);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  test('says what is wrong with a file that it cannot play', async () => {
    const { exitCode, stderr } = await startCells({ PATH: process.env['PATH'] ?? '' }, [
      'scripted-model',
      '--script',
      '/nowhere.yaml',
    ]);
    expect(stderr).toMatch(/^error: .*\/nowhere\.yaml/);
    expect(exitCode).toBe(2);
  });
});
