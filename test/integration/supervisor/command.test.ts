import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasGone, supervisedCell } from '../../support/supervised-cell.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a command', () => {
  test('ends with the worker that asked for it', async () => {
    await using cell = await supervisedCell();
    const fixture = join(import.meta.dirname, '../../fixtures/supervisor/asks-for-a-command.ts');
    const worker = spawn(process.execPath, [fixture, cell.stateDirectory, cell.cellId], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const exit = once(worker, 'exit');
    await waitUntil(async () => (await cell.processes()).length >= 1);
    worker.kill('SIGKILL');
    await exit;
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('that is cancelled while its supervisor is started again does not begin', async () => {
    await using cell = await supervisedCell();
    const { pid } = await cell.client.info();
    process.kill(pid, 'SIGKILL');
    await hasGone(pid);
    const cancelled = new AbortController();
    const running = begin(cell, cancelled.signal);
    cancelled.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    await expect(access(join(cell.stateDirectory, 'began'))).rejects.toThrow('ENOENT');
  });
});

type Cell = Awaited<ReturnType<typeof supervisedCell>>;

/** A command that says that it has begun, and takes longer than a test may. */
function begin({ runtime, cellId, stateDirectory }: Cell, signal: AbortSignal) {
  return runtime.exec(
    {
      cellId,
      execId: 'command',
      command: ['/bin/sh', '-c', 'touch began; exec sleep 300'],
      directory: stateDirectory,
      env: { PATH: process.env['PATH'] ?? '' },
      logFile: join(stateDirectory, 'command.log'),
      timeoutMs: 300_000,
    },
    signal,
  );
}
