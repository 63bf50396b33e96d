import { mkdir } from 'node:fs/promises';
import type { SpawnInput, SpawnedCell } from '../../activities/contract.ts';
import { version } from '../domain/version.ts';
import { rememberProjectFile, restoreProjectFile } from '../git/project-file.ts';
import { openRepository, resolveBase } from '../git/repository.ts';
import { removeWorktree } from '../git/remove-worktree.ts';
import { addWorktree } from '../git/worktree.ts';
import { prepareHome } from '../opencode/profile.ts';
import { proveServer } from '../opencode/server.ts';
import { type AdoptedServer, adoptServer, claimServer, type ReadyServer, releaseAdopted } from './adopt.ts';
import { holdFreePort } from './hold-port.ts';
import { confineServer } from './confine.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { keepLease } from './keep-lease.ts';
import { limitsOf } from './limits.ts';
import { serverLives } from './open-cell.ts';
import { cellPaths, hostPaths } from './paths.ts';
import { cellSecret } from './secret.ts';
import { serverPlace } from './server-place.ts';
import { startServer } from './start-server.ts';
import { discard } from './trash.ts';
import { configName, writeConfig } from './write-config.ts';

/**
 * Makes a cell: worktree, home, port, server, and is satisfied only when the server proves to be ours.
 * A cell that an earlier run made and that is well is kept. On failure everything that was made is released in reverse,
 * and the lease keeps only the place.
 *
 * @throws RepositoryError, PortRangeExhausted, BootFailed, ServerUnhealthy, and errors of the file system.
 */
export async function bootCell(host: CellHost, input: SpawnInput, signal: AbortSignal): Promise<SpawnedCell> {
  const { cellId, request } = input;
  const lease = await beginSpawn(host, input);
  const { gitDirectory } = await openRepository(
    {
      repository: request.repository ?? host.repository ?? '',
      allowed: host.repositories,
      mirrorsDirectory: hostPaths(host.stateDirectory).repositories,
    },
    signal,
  );
  const known = await findHealthy(host, lease, signal);
  if (known) return known;
  // A server that an earlier run adopted was used once.
  await releaseAdopted(host, { ...lease, gitDirectory });

  const baseCommit = await resolveBase(gitDirectory, request.branch, signal);
  await mkdir(cellPaths(host.stateDirectory, cellId).artifacts, { recursive: true, mode: 0o700 });
  const limits = limitsOf(host, request, lease.runtime, input.memory);
  const wanted = { ...lease, gitDirectory, baseCommit, limits };
  // Of what an earlier run began, only a boot of the cell's own ends what is left.
  const warm = lease.worktree === null ? await claimServer(host, input, wanted) : null;
  if (warm !== null) {
    try {
      return await makeCell(host, input, wanted, warm, signal);
    } catch (error) {
      await releaseAdopted(host, wanted);
      signal.throwIfAborted();
      host.log.warn({ cellId, warm: warm.id, error }, 'a warm server could not be used; the cell boots its own');
    }
  }
  return await makeCell(host, input, wanted, null, signal);
}

/** The lease of the cell, which does not lapse from now on: a repository may take longer to come than a claim is kept. */
async function beginSpawn(host: CellHost, input: SpawnInput): Promise<Lease> {
  await keepLease(host, input);
  return await host.leases.update(input.cellId, ({ state }) => (state === 'claimed' ? { state: 'spawning' } : {}));
}

/** @param warm the server that the cell has claimed; null for one of its own */
async function makeCell(
  host: CellHost,
  input: SpawnInput,
  wanted: Lease & { gitDirectory: string; baseCommit: string },
  warm: ReadyServer | null,
  signal: AbortSignal,
): Promise<SpawnedCell> {
  const { cellId, gitDirectory, baseCommit, limits, runtime } = wanted;
  const { worktree } = await serverPlace(host.stateDirectory, cellId);
  await using made = new AsyncDisposableStack();
  made.defer(async () => void (await host.leases.update(cellId, placeOnly)));
  const spawning = { state: 'spawning', gitDirectory, baseCommit, worktree, limits, ...serverOf(warm) } as const;
  await host.leases.update(cellId, spawning);
  const place = { gitDirectory, path: worktree };
  made.defer(async () => void (await removeWorktree(place)));
  const prepared = warm !== null && host.runtimes[runtime].runtime.confines;
  const added = addWorktree({ ...place, commit: baseCommit, prepared, signal }).then(() => rememberProjectFile(place));
  const cell = { ...wanted, ...spawning };
  const starting =
    warm === null
      ? added.then(() => bootAnew(host, input, cell, made, signal))
      : adoptServer(host, warm, input, cell, added, signal);
  // Both are over before anything is undone, whichever fails.
  await Promise.allSettled([added, starting]);
  const { port, version: opencode, loaded } = await starting;
  const proven = loaded.then(() => {
    host.proven.add(configName(cell));
    return restoreProjectFile(place);
  });
  if (warm === null || !host.proven.has(configName(cell))) await proven;
  else proven.catch((error: unknown) => host.log.debug({ cellId, error }, 'the worktree was not loaded'));
  await host.leases.update(cellId, { state: 'ready' });
  made.move();
  return {
    cellId,
    port,
    worktree,
    baseCommit,
    versions: { agentCells: version, opencode },
    start: warm === null ? 'cold' : 'warm',
  };
}

async function bootAnew(
  host: CellHost,
  input: SpawnInput,
  lease: Lease & { worktree: string },
  made: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<AdoptedServer> {
  const { home } = cellPaths(host.stateDirectory, input.cellId);
  made.defer(async () => void (await discard(host.stateDirectory, home)));
  await prepareHome(home);
  const server = await bootOnFreePort(host, input, lease, made, signal);
  return { ...server, loaded: Promise.resolve() };
}

const serverOf = (warm: ReadyServer | null): Pick<Lease, 'server' | 'port'> =>
  warm === null ? { server: null, port: null } : { server: warm.ready.server, port: warm.ready.port };

/** Still `spawning`: the next run of the step may be a while away. */
const placeOnly = { state: 'spawning', worktree: null, port: null, server: null } satisfies Partial<Lease>;

/** What an earlier run of the same step has made, if all of it is still there and well. */
export async function findHealthy(host: CellHost, lease: Lease, signal: AbortSignal): Promise<SpawnedCell | null> {
  const { cellId, port, worktree, baseCommit } = lease;
  if (lease.state !== 'ready' || port === null || worktree === null || baseCommit === null) return null;
  if (!(await serverLives(host, lease))) return null;
  const password = await cellSecret(host.stateDirectory, cellId);
  const { runsIn } = await serverPlace(host.stateDirectory, cellId);
  const address = { port, password, worktree, directory: runsIn ?? worktree };
  const opencode = await proveServer(address, signal).catch(() => null);
  if (opencode === null) return null;
  const start = runsIn === null ? 'cold' : 'warm';
  return { cellId, port, worktree, baseCommit, versions: { agentCells: version, opencode }, start };
}

/** Boots the server of a cell whose worktree and home are there. What it makes is deferred to `made`. */
export async function bootOnFreePort(
  host: CellHost,
  { cellId, request }: SpawnInput,
  lease: Lease & { worktree: string },
  made: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<{ port: number; version: string }> {
  const { stateDirectory } = host;
  const { mark, home, config: configFile, runsIn } = await serverPlace(stateDirectory, cellId);
  const password = await cellSecret(stateDirectory, cellId);
  const { runtime } = host.runtimes[lease.runtime];
  await runtime.destroy(mark);
  const { directory: drafts } = cellPaths(stateDirectory, cellId);
  const chosen = (port: number) => host.leases.update(cellId, { port });
  const port = await holdFreePort(host, { runtime: lease.runtime, mark, drafts, chosen }, made);
  made.defer(async () => void (await runtime.destroy(mark)));
  await writeConfig(host, request, lease);
  const confinement = await confineServer(host, lease, signal);
  const address = { port, password, worktree: lease.worktree, directory: runsIn ?? lease.worktree };
  const version = await host.boots.runExclusive(async () => {
    const { serverLog: logFile } = cellPaths(stateDirectory, cellId);
    const serverPort = await startServer(
      host,
      {
        runtime: lease.runtime,
        mark,
        directory: runsIn ?? lease.worktree,
        home,
        configFile,
        modelsFile: host.models?.covers(lease.model) === true ? host.models.file : null,
        password,
        env: request.env,
        confinement,
        logFile,
      },
      (server) => host.leases.update(cellId, { server }),
      signal,
    );
    await runtime.relayPort(mark, serverPort);
    return await proveServer(address, signal);
  });
  return { port, version };
}
