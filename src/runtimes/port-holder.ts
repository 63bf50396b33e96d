import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

/** Somebody else listens on the port. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken';
}

/** Where a server is: on a port of loopback, or at a Unix socket, whose path may be short for this process alone. */
export type RelayTarget = { port: number } | { path: string };

/** Ports that are bound for cells and kept, each leading to its cell's server. */
export interface PortHolder extends AsyncDisposable {
  /** Binds a port on loopback for a cell, and keeps it: there is no moment at which a stranger could take it. Idempotent. @throws PortTaken */
  hold(cellId: string, port: number): Promise<void>;
  /** From now on connections to the held ports of a cell go there. */
  relay(cellId: string, target: RelayTarget): void;
  /** From now on connections are refused at once: the server behind has ended, and its port may be a stranger's by now. */
  cut(cellId: string): void;
  /** Gives the ports of a cell back. Idempotent. Answers how many there were. */
  release(cellId: string): Promise<number>;
  /** The cells that hold ports. */
  cells(): string[];
}

interface Held {
  cellId: string;
  port: number;
  server: Server;
  target: RelayTarget | null;
  sockets: Set<Socket>;
}

export function createPortHolder(): PortHolder {
  const ports = new Map<number, Held>();
  const of = (cellId: string) => [...ports.values()].filter((held) => held.cellId === cellId);

  return {
    async hold(cellId, port) {
      const known = ports.get(port);
      if (known?.cellId === cellId) return;
      if (known) throw new PortTaken(`port ${port} is held for cell ${known.cellId}`);
      const held: Held = {
        cellId,
        port,
        server: createServer((socket) => join(held, socket)),
        target: null,
        sockets: new Set(),
      };
      ports.set(port, held);
      try {
        held.server.listen(port, '127.0.0.1');
        await once(held.server, 'listening');
      } catch (cause) {
        ports.delete(port);
        throw new PortTaken(`port ${port} cannot be bound`, { cause });
      }
    },
    relay(cellId, target) {
      for (const held of of(cellId)) held.target = target;
    },
    cut(cellId) {
      for (const held of of(cellId)) {
        held.target = null;
        for (const socket of held.sockets) socket.destroy();
      }
    },
    async release(cellId) {
      const own = of(cellId);
      await Promise.all(own.map(close));
      for (const { port } of own) ports.delete(port);
      return own.length;
    },
    cells: () => [...new Set([...ports.values()].map(({ cellId }) => cellId))],
    async [Symbol.asyncDispose]() {
      await Promise.all([...ports.values()].map(close));
      ports.clear();
    },
  };
}

function join(held: Held, incoming: Socket): void {
  if (held.target === null) return void incoming.destroy();
  const outgoing = connect('port' in held.target ? { host: '127.0.0.1', ...held.target } : held.target);
  for (const socket of [incoming, outgoing]) {
    held.sockets.add(socket);
    socket.setNoDelay(true).once('close', () => held.sockets.delete(socket));
  }
  // Either end may go at any time; what that means is for the two who talk.
  pipeline(incoming, outgoing, () => outgoing.destroy());
  pipeline(outgoing, incoming, () => incoming.destroy());
}

async function close({ server, sockets }: Held): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}
