import { execFile } from 'node:child_process';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openDoor } from '../../../src/gateway/door.ts';
import { cellUser } from '../../../src/runtimes/cell-user.ts';
import { ask, begin } from '../../support/gateway.ts';
import { listeners, socketsOf } from '../../support/listeners.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const [one, other] = ['0123456789abcdef', 'fedcba9876543210'];

test('the socket of a cell takes its user and the one who made it, and nobody else', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, one, 'out', 'model.sock');
  await mkdir(dirname(dirname(path)), { mode: 0o711 });
  await chmod(directory.path, 0o711);
  const user = cellUser(one);
  const plan = { kind: 'socket', path, ...(user === null ? {} : { uid: user }) } as const;
  await using opened = await openDoor(plan, (_, response) => Promise.resolve(void response.end('you are in')));
  expect(opened.door).toEqual({ kind: 'socket', path });
  expect((await ask(opened.door, {})).text).toBe('you are in');
  const [socket, outlet] = await Promise.all([stat(path), stat(dirname(path))]);
  expect([socket.mode & 0o777, outlet.mode & 0o777]).toEqual([0o600, 0o755]);
  expect(socket.uid).toBe(user ?? process.getuid?.());
  // Only root can be somebody else.
  if (user === null) return;
  expect(await connectAs(user, path)).toBe('connected');
  expect(await connectAs(cellUser(other) ?? 0, path)).toBe('Permission denied');
});

test('a cell with a socket has no port on which others could knock', async () => {
  await using directory = await temporaryDirectory();
  const ports = async () => {
    const own = await socketsOf(process.pid);
    return (await listeners()).flatMap(({ port, inode }) => (own.has(inode) ? [port] : []));
  };
  const before = await ports();
  const path = join(directory.path, 'out', 'model.sock');
  await using opened = await openDoor({ kind: 'socket', path }, () => Promise.resolve());
  expect(opened.door.kind).toBe('socket');
  expect(await ports()).toEqual(before);
});

test('a socket that a killed gateway left is taken over', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'out', 'model.sock');
  const answering = (text: string) =>
    openDoor({ kind: 'socket', path }, (_, response) => Promise.resolve(void response.end(text)));
  await using _killed = await answering('the old one');
  await using next = await answering('the new one');
  expect((await ask(next.door, {})).text).toBe('the new one');
  await next[Symbol.asyncDispose]();
  await expect(begin(next.door, {})).rejects.toThrow(/ENOENT/);
});

/** Connects as another user, with what every Debian has. */
async function connectAs(uid: number, path: string): Promise<string> {
  const script = 'print IO::Socket::UNIX->new(Peer => $ARGV[0]) ? "connected" : "$!"';
  const run = promisify(execFile);
  return (await run('perl', ['-MIO::Socket::UNIX', '-e', script, path], { uid, gid: uid })).stdout;
}
