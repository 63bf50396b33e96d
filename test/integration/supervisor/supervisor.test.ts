import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';
import getPort from 'get-port';
import { describe, expect, test } from 'vitest';
import { PortTaken } from '../../../src/runtimes/port-holder.ts';
import { hostPaths } from '../../../src/cell/paths.ts';
import { writeWarm } from '../../../src/cell/warm-record.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { socketOf } from '../../../src/supervisor/protocol.ts';
import { isRunning, runningProcesses } from '../../support/processes.ts';
import { endSupervisor, hasGone, supervisedCell } from '../../support/supervised-cell.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('the supervisor', () => {
  test('is started where none runs, and found again by the next worker', async () => {
    await using cell = await supervisedCell();
    await using second = await connectSupervisor(cell.stateDirectory);
    const [one, other] = await Promise.all([cell.client.info(), second.info()]);
    expect(other.pid).toBe(one.pid);
    await waitUntil(async () => (await cell.client.info()).workers === 2);
  });

  test('is one, however many workers start at the same time', async () => {
    await using directory = await temporaryDirectory();
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectSupervisor(directory.path)));
    const pids = new Set(await Promise.all(clients.map(async (client) => (await client.info()).pid)));
    // One that comes too late to be it has seen that, and ended, before there is room for it.
    const started = async () => (await runningProcesses()).filter(({ command }) => command.includes(directory.path));
    await waitUntil(async () => (await started()).length === 1);
    const [first, ...others] = clients;
    for (const other of others) await other[Symbol.asyncDispose]();
    if (first) await endSupervisor(first);
    await first?.[Symbol.asyncDispose]();
    expect(pids.size).toBe(1);
  });

  test('answers nobody but its own user', async () => {
    await using cell = await supervisedCell();
    expect((await stat(socketOf(cell.stateDirectory))).mode & 0o777).toBe(0o600);
  });

  test('ends every process of every cell within a second when it is killed, also those that left their session', async () => {
    await using cell = await supervisedCell();
    await cell.start('setsid sleep 300 & (setsid sh -c "sleep 301 & sleep 302" &) ; exec sleep 303');
    await waitUntil(async () => (await cell.processes()).length >= 4);
    process.kill((await cell.client.info()).pid, 'SIGKILL');
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('leaves no zombie of the processes that it started', async () => {
    await using cell = await supervisedCell();
    const { pid } = await cell.client.info();
    for (let round = 0; round < 3; round += 1) await cell.start('exec true');
    const children = async () => (await statesOfChildren(pid)).filter((state) => state === 'Z');
    await waitUntil(async () => (await cell.processes()).length === 0 && (await children()).length === 0);
    expect(await children()).toEqual([]);
  });

  test('ends its cells when it is stopped by a signal', async () => {
    await using cell = await supervisedCell();
    await cell.start('setsid sleep 300 & exec sleep 301');
    await waitUntil(async () => (await cell.processes()).length >= 2);
    process.kill((await cell.client.info()).pid, 'SIGTERM');
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('is started again by a worker that needs it, after it was killed', async () => {
    await using cell = await supervisedCell();
    const { pid } = await cell.client.info();
    process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await cell.client.info().catch(() => null)) === null);
    await cell.start('exec sleep 300');
    expect((await cell.client.info()).pid).not.toBe(pid);
    await waitUntil(async () => (await cell.processes()).length === 1);
  });

  test('refuses to end while cells live, says so, and ends when asked by force', async () => {
    await using cell = await supervisedCell();
    await cell.start('exec sleep 300');
    await using other = await connectSupervisor(cell.stateDirectory);
    expect(await other.stop()).toBe(false);
    await waitUntil(async () => (await cell.processes()).length === 1);
    expect(await other.stop({ force: true })).toBe(true);
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('takes a server that waits for a cell for none, and ends with it', async () => {
    await using cell = await supervisedCell();
    const { cellId: id, stateDirectory } = cell;
    await writeWarm(stateDirectory, { version: 2, id, runtime: 'process', profile: '', createdAt: 0, ready: null });
    await cell.start('exec sleep 300');
    expect(await cell.client.info()).toMatchObject({ cells: [], warm: [id] });
    expect(await cell.client.stop()).toBe(true);
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('goes when it has had no cell and no worker for a while', async () => {
    await using cell = await supervisedCell(100);
    const { pid } = await cell.client.info();
    await cell.client[Symbol.asyncDispose]();
    expect(await hasGone(pid)).toBe(true);
  });

  test('begins only when the watchdog of the one before has ended the cells of that', async () => {
    await using cell = await supervisedCell();
    const { pid } = await cell.client.info();
    const [watchdog] = (await runningProcesses()).filter(({ parent }) => parent === pid);
    await using late = suspended(watchdog?.pid ?? 0);
    process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await cell.client.info().catch(() => null)) === null);
    let hasStarted = false;
    const start = cell.start('exec sleep 300').then(() => (hasStarted = true));
    // It has no reason to start, so there is nothing to wait for but the time in which it would have.
    await waitUntil(() => hasStarted, 2_000).catch(() => undefined);
    expect(hasStarted).toBe(false);
    late.resume();
    await start;
    expect(await isRunning(watchdog?.pid ?? 0)).toBe(false);
    await waitUntil(async () => (await cell.processes()).length === 1);
  });

  test('goes with its cells when the last worker goes that wants it so, and not before', async () => {
    await using cell = await supervisedCell();
    await using last = await connectSupervisor(cell.stateDirectory, { endsWithWorkers: true });
    const { pid } = await last.info();
    await cell.start('exec sleep 300');
    await using another = await connectSupervisor(cell.stateDirectory, { endsWithWorkers: true });
    await waitUntil(async () => (await last.info()).workers === 3);
    await another[Symbol.asyncDispose]();
    await waitUntil(async () => (await last.info()).workers === 2);
    await waitUntil(async () => (await cell.processes()).length === 1);
    await cell.client[Symbol.asyncDispose]();
    await waitUntil(async () => (await last.info()).workers === 1);
    await waitUntil(async () => (await cell.processes()).length === 1);
    await last[Symbol.asyncDispose]();
    expect(await hasGone(pid)).toBe(true);
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.processes()).toEqual([]);
  });

  test('stays with its cells while its state directory cannot be looked at, and knows what it knew', async () => {
    await using cell = await supervisedCell();
    const { cellId: id, stateDirectory } = cell;
    await writeWarm(stateDirectory, { version: 2, id, runtime: 'process', profile: '', createdAt: 0, ready: null });
    await cell.start('exec sleep 300');
    const before = await cell.client.info();
    expect(before).toMatchObject({ cells: [], warm: [id] });
    const aside = `${stateDirectory}.aside`;
    await rename(stateDirectory, aside);
    // A link to itself leads to an error, and not to nothing.
    await symlink(stateDirectory, stateDirectory);
    const lookedAt = Date.now() + 2_500;
    // It looks every second, by a timer of its own that tells nobody.
    await waitUntil(() => Date.now() > lookedAt);
    await rm(stateDirectory);
    await rename(aside, stateDirectory);
    const { warm } = hostPaths(stateDirectory);
    await rename(warm, `${warm}.aside`);
    await writeFile(warm, 'no directory');
    expect(await cell.client.info()).toEqual(before);
    expect(await cell.processes()).toHaveLength(1);
  });

  test('goes when its state directory is removed', async () => {
    await using directory = await temporaryDirectory();
    const state = join(directory.path, 'state');
    await mkdir(state);
    const client = await connectSupervisor(state);
    const { pid } = await client.info();
    await directory[Symbol.asyncDispose]();
    expect(await hasGone(pid)).toBe(true);
    await client[Symbol.asyncDispose]();
  });
});

describe('a held port', () => {
  test('leads to the server of its cell, and to nobody before and after', async () => {
    await using cell = await supervisedCell();
    const port = await getPort({ host: '127.0.0.1' });
    await cell.runtime.holdPort(cell.cellId, port);
    expect(await ask(port)).toBe('');
    await using server = await echoServer('from the cell');
    await cell.runtime.relayPort(cell.cellId, server.port);
    expect(await ask(port)).toBe('from the cell');
    await cell.runtime.destroy(cell.cellId);
    await expect(ask(port)).rejects.toThrow(/ECONNREFUSED/);
  });

  test('cannot be taken by anybody else', async () => {
    await using cell = await supervisedCell();
    const port = await getPort({ host: '127.0.0.1' });
    await cell.runtime.holdPort(cell.cellId, port);
    await cell.runtime.holdPort(cell.cellId, port);
    await expect(cell.runtime.holdPort(randomBytes(8).toString('hex'), port)).rejects.toThrow(PortTaken);
    const stranger = createServer().listen(port, '127.0.0.1');
    await expect(once(stranger, 'listening')).rejects.toThrow(/EADDRINUSE/);
  });

  test('that a stranger has is said to be taken', async () => {
    await using cell = await supervisedCell();
    await using stranger = await echoServer('a stranger');
    await expect(cell.runtime.holdPort(cell.cellId, stranger.port)).rejects.toThrow(PortTaken);
  });

  test('leads nowhere once the server of the cell has ended: its port may be a stranger by now', async () => {
    await using cell = await supervisedCell();
    const port = await getPort({ host: '127.0.0.1' });
    await cell.runtime.holdPort(cell.cellId, port);
    await cell.start('exec sleep 300');
    await using stranger = await echoServer('a stranger');
    await cell.runtime.relayPort(cell.cellId, stranger.port);
    expect(await ask(port)).toBe('a stranger');
    await waitUntil(async () => (await cell.processes()).length === 1);
    for (const pid of await cell.processes()) process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await ask(port)) === '');
  });
});

/** Those of every child of a process, zombies included. */
async function statesOfChildren(parent: number): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  return stats.flatMap((text) => {
    const [state = '', of] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(of) === parent ? [state] : [];
  });
}

/** Stops a process until it is resumed, or the scope ends. */
function suspended(pid: number): { resume: () => void } & AsyncDisposable {
  process.kill(pid, 'SIGSTOP');
  const resume = () => {
    process.kill(pid, 'SIGCONT');
  };
  return {
    resume,
    async [Symbol.asyncDispose]() {
      if (await isRunning(pid)) resume();
    },
  };
}

async function echoServer(text: string): Promise<{ port: number } & AsyncDisposable> {
  const server: Server = createServer((socket) => socket.on('error', () => undefined).end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    port: address.port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** What is said on a port before it is closed. */
async function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  await once(socket, 'close').catch(() => undefined);
  const error = socket.errored;
  if (error && 'code' in error && error.code === 'ECONNREFUSED') throw error;
  return text;
}
