import { once } from 'node:events';
import { chmod, chown, rm } from 'node:fs/promises';
import { type LookupFunction, type Socket, type TcpNetConnectOpts, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { allowSocketName } from './in-cell.ts';

/**
 * Connections that lead out of a cell's server, or of one of its commands, at once, beyond which more are refused. Each takes two
 * descriptors of the process that holds them for all cells; what downloads packages has some fifty.
 */
const mostConnections = 256;

/**
 * Opens a Unix socket in a directory for each target that a cell may reach, and leads what comes there to that target and nowhere else.
 * Disposing of it ends every connection.
 *
 * @param user who may connect besides this process's user; null for nobody
 * @param lookup how the names of targets are looked up, with each connection. Default: as this host does
 */
export async function openOutlet(
  directory: string,
  allow: readonly string[],
  user: number | null,
  lookup?: LookupFunction,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const sockets = new Set<Socket>();
  for (const [index, target] of allow.entries()) {
    const path = join(directory, allowSocketName(index));
    stack.use(await openWay(path, target, sockets, lookup));
    // The directory is in one of the cell, which nobody else enters. A mask for the moment would go for all that other threads make, too.
    await chmod(path, 0o600);
    if (user !== null) await chown(path, user, user);
  }
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** @param sockets those of all ways that are opened and closed together */
async function openWay(
  path: string,
  target: string,
  sockets: Set<Socket>,
  lookup?: LookupFunction,
): Promise<AsyncDisposable> {
  const [host = '', port = ''] = target.split(':');
  const server = createServer({ allowHalfOpen: true }, (incoming) => {
    if (sockets.size >= 2 * mostConnections) return void incoming.destroy();
    // The name is looked up on the host, with each connection.
    const outgoing = connectOrNull({ host, port: Number(port), allowHalfOpen: true, ...(lookup ? { lookup } : {}) });
    if (outgoing === null) return void incoming.destroy();
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.setNoDelay(true).once('close', () => sockets.delete(socket));
    }
    pipeline(incoming, outgoing, (error) => error && outgoing.destroy());
    pipeline(outgoing, incoming, (error) => error && incoming.destroy());
  });
  // A socket that lies there is what an earlier run left.
  await rm(path, { force: true });
  server.listen(path);
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await rm(path, { force: true });
    },
  };
}

/** Null for what is no address, which throws; and a throw in a listener ends the supervisor, and with it every cell. */
function connectOrNull(options: TcpNetConnectOpts): Socket | null {
  try {
    return connect(options);
  } catch {
    return null;
  }
}
