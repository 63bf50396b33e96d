import { lchown, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { opencodeBinary, ripgrepDirectory } from '../opencode/binary.ts';
import { makePrivateRepository, writeDotGit } from '../git/private-repository.ts';
import { cellUser, giveToCell } from '../runtimes/cell-user.ts';
import type { Confinement } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellPaths, hostPaths, warmPaths } from './paths.ts';
import { type ServerPlace, serverPlace, warmPlace } from './server-place.ts';

type ConfinedLease = Pick<Lease, 'cellId' | 'runtime' | 'limits' | 'allow'>;
type BasedLease = ConfinedLease & Pick<Lease, 'gitDirectory' | 'baseCommit'>;

/** Whether the cells of a lease's runtime are confined. */
export const isConfined = (host: CellHost, { runtime }: Pick<Lease, 'runtime'>): boolean =>
  host.runtimes[runtime].runtime.confines;

/**
 * What the server of a cell may see, reach and use; null where it is not confined. What it consists of is made, and what is the
 * cell's to write becomes its own.
 */
export async function confineServer(
  host: CellHost,
  lease: BasedLease,
  signal: AbortSignal,
): Promise<Confinement | null> {
  if (!isConfined(host, lease)) return null;
  const place = await serverPlace(host.stateDirectory, lease.cellId);
  await makeDirectories(place);
  await furnish(host, place, lease, signal);
  return confinementOf(host, place, lease);
}

/** Makes what the server that a cell adopted sees in its sandbox since it was booted that which the cell needs. */
export async function furnishSandbox(host: CellHost, lease: BasedLease, signal: AbortSignal): Promise<void> {
  if (isConfined(host, lease)) await furnish(host, await serverPlace(host.stateDirectory, lease.cellId), lease, signal);
}

async function furnish(host: CellHost, place: ServerPlace, lease: BasedLease, signal: AbortSignal): Promise<void> {
  const { cellId, gitDirectory, baseCommit } = lease;
  if (gitDirectory === null || baseCommit === null) throw new Error(`cell ${cellId} has no base`);
  const { mark, worktree, config } = place;
  await giveToCell(mark, [worktree, dirname(config)]);
  await makePrivateRepository({
    gitDirectory,
    baseCommit,
    worktree,
    templates: hostPaths(host.stateDirectory).gitTemplates,
    ...repositoryOf(place),
    signal,
  });
}

/**
 * What a server that is booted ahead may see, reach and use: the places of what the cell that adopts it will have, where there is nothing
 * yet. Null where it is not confined.
 */
export async function confineWarm(
  host: CellHost,
  id: string,
  lease: Pick<Lease, 'runtime' | 'limits'>,
): Promise<Confinement | null> {
  if (!isConfined(host, lease)) return null;
  const { idle } = warmPaths(host.stateDirectory, id);
  const place = warmPlace(host.stateDirectory, id);
  await makeDirectories(place);
  await mkdir(dirname(place.config), { mode: 0o700 });
  await writeDotGit(repositoryOf(place));
  // A file stands there for the other to be shown in its place.
  await mkdir(place.worktree, { recursive: true });
  await writeFile(join(place.worktree, '.git'), '');
  await giveToCell(id, [dirname(place.config), idle]);
  return confinementOf(host, place, { ...lease, allow: [] });
}

function repositoryOf({ mark, agentGit, dotGit }: ServerPlace) {
  const user = cellUser(mark);
  return { directory: agentGit, dotGitFile: dotGit, owner: user === null ? null : { uid: user, gid: user } };
}

async function makeDirectories({ mark, home, inlet, agentGit }: ServerPlace): Promise<void> {
  const directories = [inlet, dirname(agentGit)];
  for (const path of directories) await mkdir(path, { recursive: true, mode: 0o700 });
  await giveToCell(mark, [home, inlet]);
  // Without what is in it, which another server finds made: its packs are those of other cells, too.
  const user = cellUser(mark);
  if (user !== null) await lchown(dirname(agentGit), user, user);
}

/** The same for a command that runs where the agent ran: it has no server to serve, and no models. */
export async function confineCommand(host: CellHost, lease: ConfinedLease): Promise<Confinement | null> {
  if (!isConfined(host, lease)) return null;
  const { cellId, limits, allow } = lease;
  const { testOutlet } = cellPaths(host.stateDirectory, cellId);
  const { mark, worktree, home, agentGit, dotGit } = await serverPlace(host.stateDirectory, cellId);
  await giveToCell(mark, [worktree]);
  return {
    writable: [worktree, home, dirname(agentGit)],
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
  const { mark, worktree } = await serverPlace(host.stateDirectory, lease.cellId);
  await giveToCell(mark, [worktree]);
}

function confinementOf(
  host: CellHost,
  { home, worktree, config, runsIn, inlet, agentGit, dotGit, modelSocket }: ServerPlace,
  { limits, allow }: Pick<Lease, 'limits' | 'allow'>,
): Confinement {
  const modelsFile = host.models?.file ?? null;
  return {
    writable: [worktree, home, dirname(agentGit)],
    readable: [
      ...shown([opencodeBinary, ripgrepDirectory, dirname(config)]),
      ...shown([modelsFile, runsIn].filter((path) => path !== null)),
      ...host.volumes,
      { source: dotGit, target: join(worktree, '.git') },
    ],
    inlet,
    outlet: dirname(modelSocket),
    model: true,
    allow,
    limits,
  };
}

/** Inside, these are where they are on the host. */
const shown = (paths: readonly string[]) => paths.map((path) => ({ source: path, target: path }));
