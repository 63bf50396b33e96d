import { realpath } from 'node:fs/promises';
import which from 'which';
import { probeBubblewrap } from './bubblewrap-probe.ts';
import { cellUser } from './cell-user.ts';
import { createDetachedRuntime, type DetachedOptions, noGroups } from './detached.ts';
import { inCell } from './in-cell.ts';
import type { Launch } from './launch.ts';
import { createLimitGroups } from './limit-groups.ts';
import type { FoundLimitRoot } from './limit-root.ts';
import type { CellRuntime, ProcessSpec } from './runtime.ts';
import { countsInNamespaces, withProcesses } from './process-limit.ts';
import { sandboxOf, type SandboxPrograms } from './sandbox.ts';
import { seccompProgram } from './seccomp.ts';
import { createWatchedLimits } from './watched-limits.ts';
import { createCellWays } from './ways.ts';

export interface BubblewrapOptions extends DetachedOptions {
  /** The control groups by which cells are limited. Default: none, and then they are watched. */
  limitRoot?: FoundLimitRoot;
}

/**
 * Cells in namespaces of their own, made by bubblewrap: a cell sees the system, its own files and its own processes, and has no network
 * but the sockets that it is given.
 */
export function createBubblewrapRuntime(options: BubblewrapOptions): CellRuntime {
  const { limitRoot = { root: null, why: 'nobody looked for control groups' }, groupRoot = noGroups } = options;
  const { root } = limitRoot;
  const limits = root === null ? createWatchedLimits(options.owner) : createLimitGroups(root, options.owner);
  const filter = seccompProgram();
  const ways = createCellWays();

  return createDetachedRuntime(
    {
      name: 'bubblewrap',
      confines: true,
      unsupported: 'why' in limitRoot ? unlimitedWithoutGroups(limitRoot.why) : {},
      probe: () => probeBubblewrap({ limitRoot, groupRoot, filtered: filter !== null }),
      async launch(spec: ProcessSpec, part: string): Promise<Launch> {
        const { cellId, confinement, command } = spec;
        if (confinement === undefined) throw new Error(`what cell ${cellId} may see was not said`);
        await ways.open(cellId, part, confinement);
        const programs = await sandboxPrograms();
        const inside = inCell(command, confinement, spec.env);
        const inner = root === null ? withProcesses(inside, confinement.limits.pids, programs) : inside;
        const sandbox = await sandboxOf(inner, spec.directory, confinement, programs, cellUser(cellId), filter);
        return { ...sandbox, directory: '/', groups: [] };
      },
      target: (cellId, serverPort) => ways.target(cellId, serverPort),
      ended: (cellId, part) => ways.close(cellId, part),
      released: (cellId) => ways.close(cellId),
      limits,
    },
    options,
  );
}

/** What cannot be limited where there are no control groups, each with the reason. */
function unlimitedWithoutGroups(why: string): CellRuntime['unsupported'] {
  return { 'resources.cpus': why, ...(countsInNamespaces() ? {} : { 'resources.pids': why }) };
}

/** @throws when bubblewrap is not there */
async function sandboxPrograms(): Promise<SandboxPrograms> {
  const found = async (name: string): Promise<string | null> => {
    const path = await which(name, { nothrow: true });
    return path === null ? null : await realpath(path);
  };
  return {
    bwrap: await realpath(await which('bwrap')),
    setpriv: await found('setpriv'),
    prlimit: await found('prlimit'),
  };
}
