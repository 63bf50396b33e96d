import { chmod, mkdir, rm } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import { cellUser } from './cell-user.ts';
import { serverSocketName } from './in-cell.ts';
import { openOutlet } from './outlet.ts';
import { type PinnedSocket, pinSocket } from './pinned-socket.ts';
import type { RelayTarget } from './port-holder.ts';
import { type Confinement, confinedServerPort } from './runtime.ts';

/** The sockets that lead into confined cells and out of them, on the side of the host. */
export interface CellWays {
  /** Makes the ways of what is about to start in a cell: its targets can be reached, and its server is awaited. */
  open(cellId: string, part: string, confinement: Confinement): Promise<void>;
  /** Where the server of a cell is reached. @throws when none appears */
  target(cellId: string, serverPort: number): Promise<RelayTarget>;
  /** Closes those of one part, or of all of a cell. Idempotent. */
  close(cellId: string, part?: string): Promise<void>;
}

/** @param lookup how names of targets are looked up. Default: as this host does */
export function createCellWays(lookup?: LookupFunction): CellWays {
  /** The inlets of the servers that were started here, by cell. */
  const inlets = new Map<string, string>();
  const pinned = new Map<string, PinnedSocket>();
  /** By cell and part. */
  const outlets = new Map<string, AsyncDisposable>();
  const unpin = (cellId: string) => {
    pinned.get(cellId)?.[Symbol.dispose]();
    pinned.delete(cellId);
  };
  const closeOutlet = async (name: string) => {
    const outlet = outlets.get(name);
    outlets.delete(name);
    await outlet?.[Symbol.asyncDispose]();
  };
  return {
    async open(cellId, part, { inlet, outlet, allow }) {
      if (inlet !== null) {
        inlets.set(cellId, inlet);
        await rm(join(inlet, serverSocketName), { force: true });
      }
      if (outlet === null) return;
      await mkdir(outlet, { recursive: true });
      // The cell passes through it and changes nothing in it, whatever the mask of this process is.
      await chmod(outlet, 0o755);
      await closeOutlet(`${cellId}/${part}`);
      outlets.set(`${cellId}/${part}`, await openOutlet(outlet, allow, cellUser(cellId), lookup));
    },
    async target(cellId, serverPort) {
      const inlet = inlets.get(cellId);
      if (inlet === undefined || serverPort !== confinedServerPort)
        throw new Error(`cell ${cellId} has no server on port ${serverPort}`);
      unpin(cellId);
      const socket = await pinSocket(join(inlet, serverSocketName));
      pinned.set(cellId, socket);
      return { path: socket.path };
    },
    async close(cellId, part) {
      if (part !== undefined) return closeOutlet(`${cellId}/${part}`);
      unpin(cellId);
      inlets.delete(cellId);
      for (const name of outlets.keys()) if (name.startsWith(`${cellId}/`)) await closeOutlet(name);
    },
  };
}
