import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import { cellUnderTest } from '../../contracts/cell-under-test.ts';
import { runtimeContract } from '../../contracts/runtime.contract.ts';
import { waitUntil } from '../../support/wait-until.ts';

runtimeContract({
  name: 'process',
  create: createProcessRuntime,
  unpromised: {
    confinement: 'the process runtime separates by convention and does not confine',
    groups: 'without control groups a process is found by its environment alone',
  },
});

test(
  'a process goes on, and goes on writing, when the worker that started it is killed',
  { timeout: 60_000 },
  async () => {
    await using cell = await cellUnderTest(createProcessRuntime);
    const fixture = join(import.meta.dirname, '../../fixtures/processes/worker.ts');
    const worker = spawn(process.execPath, [fixture, cell.owner, cell.cellId, cell.directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(worker, 'exit');
    const [line]: string[] = await once(createInterface(worker.stdout), 'line', {
      signal: AbortSignal.timeout(20_000),
    });
    const size = async (name: string) => (await readFile(join(cell.directory, name)).catch(() => '')).length;
    await waitUntil(async () => (await size('server.log')) > 0 && (await size('test.log')) > 0);
    worker.kill('SIGKILL');
    await exit;
    const before = await size('server.log');
    await waitUntil(async () => (await size('server.log')) > before);

    const handle = JSON.parse(line ?? '');
    expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'running' });
    expect(await cell.runtime.list()).toEqual([cell.cellId]);
    const command = { ...cell.command(['true']), execId: 'test' };
    expect(await cell.runtime.exec(command, AbortSignal.timeout(20_000))).toMatchObject({ exitCode: 0 });
    expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'running' });
    await cell.runtime.destroy(cell.cellId);
    expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'gone' });
    expect(await cell.processes()).toEqual([]);
  },
);
