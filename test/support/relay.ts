import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/** A port on loopback that leads to another one, until it is cut. Disposing of it cuts it for good. */
export interface Relay extends AsyncDisposable {
  /** `127.0.0.1:<port>`. */
  address: string;
  /** Breaks every connection, and refuses new ones. */
  cut(): void;
  /** Leads on again. */
  mend(): void;
}

/** @param target `host:port` */
export async function startRelay(target: string): Promise<Relay> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((incoming) => {
    if (!whole) return void incoming.destroy();
    const outgoing = connect({ host, port: Number(port) });
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.setNoDelay(true).once('close', () => sockets.delete(socket));
    }
    pipeline(incoming, outgoing, () => outgoing.destroy());
    pipeline(outgoing, incoming, () => incoming.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  const cut = () => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${address.port}`,
    cut,
    mend: () => void (whole = true),
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
