import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import waitFor from 'p-wait-for';
import { describe, expect, inject, test } from 'vitest';
import { startCells } from '../support/cells-command.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { temporaryRepository } from '../support/temporary-repository.ts';
import { accepts, remainsOf, userIn } from '../support/user.ts';

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
});

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
