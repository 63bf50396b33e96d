import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { opencodeBinary, ripgrepDirectory } from '../opencode/binary.ts';
import { makePrivateRepository } from '../git/private-repository.ts';
import { cellUser, giveToCell } from '../runtimes/cell-user.ts';
import type { Confinement } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellPaths, hostPaths } from './paths.ts';
import { serverPlace } from './server-place.ts';

type ConfinedLease = Pick<Lease, 'cellId' | 'runtime' | 'limits' | 'allow'> & { worktree: string };

/** Whether the cells of a lease's runtime are confined. */
export const isConfined = (host: CellHost, { runtime }: Pick<Lease, 'runtime'>): boolean =>
  host.runtimes[runtime].runtime.confines;

/**
 * What the server of a cell may see, reach and use; null where it is not confined. What it consists of is made, and what is the
 * cell's to write becomes its own.
 */
export async function confineServer(
  host: CellHost,
  lease: ConfinedLease & Pick<Lease, 'gitDirectory' | 'baseCommit'>,
  signal: AbortSignal,
): Promise<Confinement | null> {
  if (!isConfined(host, lease)) return null;
  const { cellId, worktree, gitDirectory, baseCommit, limits, allow } = lease;
  if (gitDirectory === null || baseCommit === null) throw new Error(`cell ${cellId} has no base`);
  const paths = cellPaths(host.stateDirectory, cellId);
  const { mark, home, configFile, modelSocket } = await serverPlace(host.stateDirectory, cellId);
  const user = cellUser(mark);
  await mkdir(paths.inlet, { recursive: true, mode: 0o700 });
  await giveToCell(mark, [worktree, home, paths.inlet, configFile]);
  await makePrivateRepository({
    gitDirectory,
    baseCommit,
    worktree,
    directory: paths.git,
    dotGitFile: paths.dotGit,
    templates: hostPaths(host.stateDirectory).gitTemplates,
    owner: user === null ? null : { uid: user, gid: user },
    signal,
  });
  const modelsFile = host.models?.file ?? null;
  return {
    writable: [worktree, home, paths.git],
    readable: [
      ...shown([opencodeBinary, ripgrepDirectory, configFile, ...(modelsFile === null ? [] : [modelsFile])]),
      ...host.volumes,
      { source: paths.dotGit, target: join(worktree, '.git') },
    ],
    inlet: paths.inlet,
    outlet: dirname(modelSocket),
    model: true,
    allow,
    limits,
  };
}

/** The same for a command that runs where the agent ran: it has no server to serve, and no models. */
export async function confineCommand(host: CellHost, lease: ConfinedLease): Promise<Confinement | null> {
  if (!isConfined(host, lease)) return null;
  const { cellId, worktree, limits, allow } = lease;
  const { git, dotGit, testOutlet } = cellPaths(host.stateDirectory, cellId);
  const { mark, home } = await serverPlace(host.stateDirectory, cellId);
  await giveToCell(mark, [worktree]);
  return {
    writable: [worktree, home, git],
    readable: [...shown([ripgrepDirectory]), ...host.volumes, { source: dotGit, target: join(worktree, '.git') }],
    inlet: null,
    outlet: allow.length === 0 ? null : testOutlet,
    model: false,
    allow,
    limits,
  };
}

/** What the host wrote into the worktree becomes the cell's own again. */
export async function giveBack(host: CellHost, lease: ConfinedLease): Promise<void> {
  if (!isConfined(host, lease)) return;
  const { mark } = await serverPlace(host.stateDirectory, lease.cellId);
  await giveToCell(mark, [lease.worktree]);
}

/** Inside, these are where they are on the host. */
const shown = (paths: readonly string[]) => paths.map((path) => ({ source: path, target: path }));
