import { once } from 'node:events';
import { mkdir, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { allowSocketName } from '../../../src/runtimes/in-cell.ts';
import { openOutlet } from '../../../src/runtimes/outlet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

test('a way to a target that cannot be connected to ends what comes there, and the other ways stay open', async () => {
  await using directory = await temporaryDirectory();
  await using server = createServer((socket) => socket.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  await using _outlet = await openOutlet(directory.path, ['localhost:99999', `127.0.0.1:${port}`], null);
  const ask = (index: number) => text(connect(join(directory.path, allowSocketName(index))));
  expect(await ask(0)).toBe('');
  expect(await ask(1)).toBe('hello');
});

test('a cell has no more than 256 connections to all its targets, and gets others for those that end', async () => {
  await using directory = await temporaryDirectory();
  await using server = createServer((socket) => socket.on('error', () => undefined).write('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  await using _outlet = await openOutlet(directory.path, [`127.0.0.1:${port}`, `localhost:${port}`], null);
  const open = async (index: number) => {
    const socket = connect(join(directory.path, allowSocketName(index)));
    const answered = await Promise.race([once(socket, 'data').then(() => true), once(socket, 'end').then(() => false)]);
    return { socket, answered };
  };
  const opened = await Promise.all(Array.from({ length: 256 }, (_, index) => open(index % 2)));
  expect(opened.every(({ answered }) => answered)).toBe(true);
  expect((await open(0)).answered).toBe(false);
  opened[0]?.socket.destroy();
  await waitUntil(async () => (await open(1)).answered);
});

test('opening ways leaves the mode of directories alone that are made at the same time', async () => {
  await using directory = await temporaryDirectory();
  const allow = Array.from({ length: 500 }, (_, index) => `db-${index}:5432`);
  let open = false;
  const modes = new Set<number>();
  const make = async (maker: number) => {
    for (let index = 0; !open; index += 1) {
      const path = join(directory.path, `${maker}-${index}`);
      await mkdir(path);
      modes.add((await stat(path)).mode & 0o777);
    }
  };
  const making = [make(1), make(2)];
  await using _outlet = await openOutlet(directory.path, allow, null).finally(() => (open = true));
  await Promise.all(making);
  expect(modes).toEqual(new Set([0o777 & ~process.umask()]));
});
