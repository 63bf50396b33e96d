import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import { beats, cellUnderTest, script } from '../../contracts/cell-under-test.ts';
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
  'a chain of processes is ended also where hundreds of others make each scan slow',
  { timeout: 60_000 },
  async () => {
    // They end when their input does.
    const crowd = spawn('sh', ['-c', 'for i in $(seq 600); do cat <&3 & done 3<&0; echo up; cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const gone = once(crowd, 'close');
    try {
      await once(crowd.stdout, 'data');
      await using cell = await cellUnderTest(createProcessRuntime);
      await cell.runtime.start(cell.spec([...script('fork-chain'), '100000']), new AbortController().signal);
      await waitUntil(() => beats(cell));
      await cell.runtime.destroy(cell.cellId);
      expect(await beats(cell)).toBe(false);
    } finally {
      crowd.stdin.end();
      await gone;
    }
  },
);

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
