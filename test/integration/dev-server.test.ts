import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { describe, expect, test } from 'vitest';
import { type DevServerOptions, startDevServer } from '../../src/temporal/dev-server.ts';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { type Listener, listeners, socketsOf } from '../support/listeners.ts';
import { isRunning } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const searchAttributes = [
  { name: 'CellStep', type: 'Keyword' },
  { name: 'CellTokens', type: 'Int' },
];

describe('the dev server', () => {
  test('serves its namespace, its search attributes and its Web UI, on loopback only', async () => {
    await using directory = await temporaryDirectory();
    await using server = await startDevServer(await optionsIn(directory.path));
    const connection = await Connection.connect({ address: server.address });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    await connection.close();
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(['CellStep', 'CellTokens']));
    expect((await fetch(server.uiAddress)).ok).toBe(true);
    const own = await listenersOf(server.pid);
    expect(own.map(({ port }) => String(port))).toContain(server.address.split(':')[1]);
    expect(own.filter(({ loopback }) => !loopback)).toEqual([]);
  });

  test('is gone, and its port free, when it is disposed', async () => {
    await using directory = await temporaryDirectory();
    const options = await optionsIn(directory.path);
    const server = await startDevServer(options);
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    expect(await isRunning(server.pid)).toBe(false);
    const ports = (await listeners()).map(({ port }) => String(port));
    expect(ports).not.toContain(server.address.split(':')[1]);
  });

  test('keeps workflows over a restart when it is given a database file', async () => {
    await using directory = await temporaryDirectory();
    const options = { ...(await optionsIn(directory.path)), databaseFile: join(directory.path, 'temporal.db') };
    {
      await using server = await startDevServer(options);
      await using temporal = await client(server.address);
      await temporal.workflow.start('waits', { workflowId: 'kept', taskQueue: 'nobody' });
    }
    await using server = await startDevServer(options);
    await using temporal = await client(server.address);
    expect((await temporal.workflow.getHandle('kept').describe()).status.name).toBe('RUNNING');
  });

  test('stops when the signal aborts', async () => {
    await using directory = await temporaryDirectory();
    const controller = new AbortController();
    const server = await startDevServer({ ...(await optionsIn(directory.path)), signal: controller.signal });
    controller.abort();
    await server.exited;
    expect(await isRunning(server.pid)).toBe(false);
  });

  test('takes another port when the wanted one is taken', async () => {
    await using directory = await temporaryDirectory();
    const options = await optionsIn(directory.path);
    await using first = await startDevServer(options);
    await using second = await startDevServer({ ...options, port: Number(first.address.split(':')[1]) });
    expect(second.address).not.toBe(first.address);
  });

  test('says how a server ended that never served, with the end of its log', async () => {
    await using directory = await temporaryDirectory();
    const options = { ...(await optionsIn(directory.path)), databaseFile: directory.path };
    await expect(startDevServer(options)).rejects.toMatchObject({
      code: 'TemporalUnreachable',
      message: expect.stringMatching(
        /ended before it served \(exit code 1\).*ends with:\n.*unable to open database file/s,
      ),
      try: expect.stringContaining(`whether ${directory.path} can be made and written`),
    });
  });

  test('ends with a parent that is killed', async () => {
    await using directory = await temporaryDirectory();
    const { signal: _, ...options } = await optionsIn(directory.path);
    const parent = execa(process.execPath, [join(import.meta.dirname, '../fixtures/dev-server-parent.ts')], {
      input: JSON.stringify(options),
      reject: false,
    });
    const pid = Number(await firstLine(parent.stdout));
    expect(await isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await waitFor(async () => !(await isRunning(pid)), { timeout: 15_000 });
    await parent;
  });
});

async function optionsIn(directory: string): Promise<DevServerOptions> {
  const signal = new AbortController().signal;
  const found = await findTemporal({ address: undefined, onStep: () => {}, signal });
  if (found.kind === 'address') throw new Error('a binary was asked for');
  await access(found.path);
  return { binary: found.path, port: 0, logFile: join(directory, 'logs', 'temporal.log'), searchAttributes, signal };
}

async function client(address: string): Promise<Client & AsyncDisposable> {
  const connection = await Connection.connect({ address });
  return Object.assign(new Client({ connection }), { [Symbol.asyncDispose]: () => connection.close() });
}

async function listenersOf(pid: number): Promise<Listener[]> {
  const sockets = await socketsOf(pid);
  return (await listeners()).filter(({ inode }) => sockets.has(inode));
}

async function firstLine(output: AsyncIterable<unknown>): Promise<string> {
  for await (const chunk of output) return String(chunk).split('\n')[0] ?? '';
  return '';
}
