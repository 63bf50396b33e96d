import { readFile } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { expect, test } from 'vitest';
import { cellState } from '../../src/client.ts';
import { startFleet } from '../support/fleet.ts';
import { isRunning, runningProcesses } from '../support/processes.ts';

const command = new URL('../../bin/cells.mjs', import.meta.url).pathname;

test('cells attach opens OpenCode’s terminal on a running cell, tells its password to nobody, and ends with 1 when that is killed', async () => {
  await using fleet = await startFleet();
  const cell = await fleet.start('slow', { agentId: 'attached', prompt: 'Look at me. [script: slow]' });
  const atWork = async () => (await cellState(fleet.client, cell.workflowId)).tokens.total > 0;
  await waitFor(atWork, { interval: 200, timeout: 90_000 });
  const { port, worktree } = (await cellState(fleet.client, cell.workflowId)).cell;

  // `script` gives it a terminal.
  const attaching = execa('script', ['-qefc', `${process.execPath} ${command} attach task/attached`, '/dev/null'], {
    env: { ...fleet.env, TERM: 'xterm-256color', COLUMNS: '120', LINES: '40' },
    extendEnv: false,
    stdin: 'pipe',
    reject: false,
  });
  let screen = '';
  attaching.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
  await waitFor(() => stripVTControlCharacters(screen).includes('Look at me.'), { interval: 200, timeout: 90_000 });

  const terminal = (await runningProcesses()).find(({ command: line }) =>
    line.includes(`attach http://127.0.0.1:${port}`),
  );
  if (terminal === undefined) throw new Error('the terminal does not run');
  expect(terminal.command).toContain(`--dir ${worktree}`);
  expect(terminal.command).toMatch(/--session ses_\w+/);
  const password = terminal.environment.find((entry) => entry.startsWith('OPENCODE_SERVER_PASSWORD='))?.split('=')[1];
  expect(password).toMatch(/^\S{20,}$/);
  const lines = (await runningProcesses()).map(({ command: line }) => line);
  expect(lines.filter((line) => line.includes(password ?? ''))).toEqual([]);
  expect(screen).not.toContain(password);
  await expect(readFile(`${worktree}/answer.txt`, 'utf8')).resolves.toBe('right\n');

  process.kill(terminal.pid, 'SIGKILL');
  expect((await attaching).exitCode).toBe(1);
  expect(await isRunning(terminal.pid)).toBe(false);
  // The cell does not mind who looks.
  expect(await cellState(fleet.client, cell.workflowId)).toMatchObject({ status: 'running', step: 'execute' });
});
