import { mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import which from 'which';
import { probeBubblewrap } from './bubblewrap-probe.ts';
import { cellUser } from './cell-user.ts';
import { createDetachedRuntime, type DetachedOptions, noGroups } from './detached.ts';
import { inCell, serverSocketName } from './in-cell.ts';
import type { Launch } from './launch.ts';
import { createLimitGroups } from './limit-groups.ts';
import type { FoundLimitRoot } from './limit-root.ts';
import { openOutlet } from './outlet.ts';
import { type PinnedSocket, pinSocket } from './pinned-socket.ts';
import { type CellRuntime, confinedServerPort, type ProcessSpec } from './runtime.ts';
import { sandboxOf, type SandboxPrograms } from './sandbox.ts';
import { seccompProgram } from './seccomp.ts';

export interface BubblewrapOptions extends DetachedOptions {
  /** By what cells are limited. Default: by nothing. */
  limitRoot?: FoundLimitRoot;
}

/**
 * Cells in namespaces of their own, made by bubblewrap: a cell sees the system, its own files and its own processes, and has no network
 * but the sockets that it is given.
 */
export function createBubblewrapRuntime(options: BubblewrapOptions): CellRuntime {
  const { limitRoot = { root: null, why: 'nobody looked for control groups' }, groupRoot = noGroups } = options;
  const limits = createLimitGroups(limitRoot.root, options.owner);
  const filter = seccompProgram();
  /** The inlets of the servers that were started here, by cell. */
  const inlets = new Map<string, string>();
  const pinned = new Map<string, PinnedSocket>();
  /** Ways out that are open, by cell and part. */
  const outlets = new Map<string, AsyncDisposable>();
  const unpin = (cellId: string) => {
    pinned.get(cellId)?.[Symbol.dispose]();
    pinned.delete(cellId);
  };
  const closeOutlet = async (name: string) => {
    await outlets.get(name)?.[Symbol.asyncDispose]();
    outlets.delete(name);
  };

  return createDetachedRuntime(
    {
      name: 'bubblewrap',
      confines: true,
      unsupported: limits === undefined && limitRoot.root === null ? { resources: limitRoot.why } : {},
      probe: () => probeBubblewrap({ limitRoot, groupRoot, filtered: filter !== null }),
      async launch(spec: ProcessSpec, part: string): Promise<Launch> {
        const { cellId, confinement, command } = spec;
        if (confinement === undefined) throw new Error(`what cell ${cellId} may see was not said`);
        const { inlet, outlet, allow } = confinement;
        const user = cellUser(cellId);
        if (inlet !== null) {
          inlets.set(cellId, inlet);
          await rm(join(inlet, serverSocketName), { force: true });
        }
        if (outlet !== null) {
          await mkdir(outlet, { recursive: true, mode: 0o755 });
          await closeOutlet(`${cellId}/${part}`);
          outlets.set(`${cellId}/${part}`, await openOutlet(outlet, allow, user));
        }
        const inner = inCell(command, confinement, spec.env);
        const programs = await sandboxPrograms();
        const sandbox = await sandboxOf(inner, spec.directory, confinement, programs, user, filter);
        return { ...sandbox, directory: '/', groups: [] };
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
      async ended(cellId, part) {
        await closeOutlet(`${cellId}/${part}`);
      },
      async released(cellId) {
        unpin(cellId);
        inlets.delete(cellId);
        for (const name of [...outlets.keys()].filter((key) => key.startsWith(`${cellId}/`))) await closeOutlet(name);
      },
      ...(limits === undefined ? {} : { limits }),
    },
    options,
  );
}

/** @throws when bubblewrap is not there */
async function sandboxPrograms(): Promise<SandboxPrograms> {
  const setpriv = await which('setpriv', { nothrow: true });
  return { bwrap: await realpath(await which('bwrap')), setpriv: setpriv === null ? null : await realpath(setpriv) };
}
