import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { isPortFree, leasePort, listPorts, PortRangeExhausted, releasePort } from '../../../src/cell/ports.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Below the ports that the kernel gives to outgoing connections, and apart from those of cells. */
const range = (size: number) => ({ from: 21_000, to: 21_000 + size - 1 });
const cellId = (number: number) => number.toString(16).padStart(16, '0');

describe('leasing ports', () => {
  test(
    'gives four workers twelve ports each at once, out of a range of exactly as many',
    { timeout: 60_000 },
    async () => {
      await using directory = await temporaryDirectory();
      await using workers = new AsyncDisposableStack();
      const started = Array.from({ length: 4 }, () => takePorts(workers, directory.path, range(48), 12));
      const ports = (await Promise.all(started)).flat();
      expect(new Set(ports).size).toBe(48);
      expect(ports.every((port) => port >= 21_000 && port <= 21_047)).toBe(true);
      const one = leasePort({ range: range(48), directory: directory.path, drafts: directory.path, cellId: cellId(1) });
      await expect(one).rejects.toThrow(PortRangeExhausted);
    },
  );

  test('keeps two hosts on one machine apart once they listen', { timeout: 60_000 }, async () => {
    await using one = await temporaryDirectory();
    await using other = await temporaryDirectory();
    await using workers = new AsyncDisposableStack();
    const ports = await takePorts(workers, one.path, range(8), 4);
    for (const number of [1, 2, 3, 4]) {
      const { port } = await leasePort({
        range: range(8),
        directory: other.path,
        drafts: other.path,
        cellId: cellId(number),
      });
      expect(ports).not.toContain(port);
    }
    const fifth = leasePort({ range: range(8), directory: other.path, drafts: other.path, cellId: cellId(5) });
    await expect(fifth).rejects.toThrow('no port is free from 21000 to 21007');
    expect(await listPorts(other.path)).toHaveLength(4);
  });

  test('gives a cell that asks again the port that it has', async () => {
    await using directory = await temporaryDirectory();
    const request = { range: range(8), directory: directory.path, drafts: directory.path, cellId: cellId(1) };
    const first = await leasePort(request);
    expect(await leasePort(request)).toEqual(first);
    expect(await readdir(directory.path)).toEqual([String(first.port)]);
  });

  test('writes nothing in part among the leases, where it would stay when the writer is killed', async () => {
    await using directory = await temporaryDirectory();
    const request = { range: range(8), directory: directory.path, drafts: `${directory.path}/gone`, cellId: cellId(1) };
    await expect(leasePort(request)).rejects.toThrow('ENOENT');
    expect(await readdir(directory.path)).toEqual([]);
  });

  test('gives a cell another port when a stranger listens on the one that it has', async () => {
    await using directory = await temporaryDirectory();
    const request = { range: range(2), directory: directory.path, drafts: directory.path, cellId: cellId(1) };
    const first = await leasePort(request);
    await using _stranger = await listen(first.port);
    const second = await leasePort(request);
    expect(second.port).not.toBe(first.port);
    expect(await listPorts(directory.path)).toEqual([second]);
  });

  test('gives a cell another port when it says that the one that it has was refused', async () => {
    await using directory = await temporaryDirectory();
    const request = { range: range(2), directory: directory.path, drafts: directory.path, cellId: cellId(1) };
    const first = await leasePort(request);
    const second = await leasePort({ ...request, except: new Set([first.port]) });
    expect(second.port).not.toBe(first.port);
  });

  test('gives a port that was released to the next, at once', async () => {
    await using directory = await temporaryDirectory();
    for (const number of [1, 2, 3]) {
      const lease = await leasePort({
        range: range(1),
        directory: directory.path,
        drafts: directory.path,
        cellId: cellId(number),
      });
      expect(lease.port).toBe(21_000);
      expect(await releasePort(directory.path, 21_000, cellId(number))).toBe(true);
    }
  });

  test('releases a port once, and only for the cell that has it', async () => {
    await using directory = await temporaryDirectory();
    const { port } = await leasePort({
      range: range(4),
      directory: directory.path,
      drafts: directory.path,
      cellId: cellId(1),
    });
    expect(await releasePort(directory.path, port, cellId(2))).toBe(false);
    expect(await listPorts(directory.path)).toEqual([{ port, cellId: cellId(1) }]);
    expect(await releasePort(directory.path, port, cellId(1))).toBe(true);
    expect(await releasePort(directory.path, port, cellId(1))).toBe(false);
    expect(await listPorts(join(directory.path, 'nowhere'))).toEqual([]);
  });

  test('sees who listens, on whatever address', async () => {
    for (const address of ['127.0.0.1', '0.0.0.0']) {
      expect(await isPortFree(21_000)).toBe(true);
      await using _server = await listen(21_000, address);
      expect(await isPortFree(21_000)).toBe(false);
    }
  });
});

async function listen(port: number, address = '127.0.0.1'): Promise<AsyncDisposable> {
  const server = createServer().listen(port, address);
  await once(server, 'listening');
  return server;
}

async function takePorts(
  owner: AsyncDisposableStack,
  directory: string,
  { from, to }: { from: number; to: number },
  count: number,
): Promise<number[]> {
  const fixture = join(import.meta.dirname, '../../fixtures/ports/take-ports.ts');
  const worker = spawn(process.execPath, [fixture, directory, String(from), String(to), String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  owner.defer(() => end(worker));
  const [line]: string[] = await once(createInterface(worker.stdout), 'line', { signal: AbortSignal.timeout(30_000) });
  return JSON.parse(line ?? '[]');
}

async function end(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null) return;
  const exit = once(worker, 'exit');
  worker.stdin?.end();
  await exit;
}
