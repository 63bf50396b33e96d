import { mkdir } from 'node:fs/promises';
import type { SpawnInput, SpawnedCell } from '../../activities/contract.ts';
import { version } from '../domain/version.ts';
import { rememberProjectFile, restoreProjectFile } from '../git/project-file.ts';
import { openRepository, resolveBase } from '../git/repository.ts';
import { removeWorktree } from '../git/remove-worktree.ts';
import { addWorktree } from '../git/worktree.ts';
import { prepareHome } from '../opencode/profile.ts';
import { proveServer } from '../opencode/server.ts';
import { PortTaken } from '../runtimes/port-holder.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { keepLease } from './keep-lease.ts';
import { serverLives } from './open-cell.ts';
import { cellPaths, hostPaths } from './paths.ts';
import { leasePort, releasePort } from './ports.ts';
import { cellSecret } from './secret.ts';
import { startServer } from './start-server.ts';
import { discard } from './trash.ts';

/** How often another port is tried when a stranger takes the one between our choice and our bind. */
const portTries = 5;

/**
 * Makes a cell: worktree, home, port, server, and is satisfied only when the server proves to be ours.
 * A cell that an earlier run made and that is well is kept. On failure everything that was made is released in reverse,
 * and the lease keeps only the place.
 *
 * @throws RepositoryError, PortRangeExhausted, BootFailed, ServerUnhealthy, and errors of the file system.
 */
export async function bootCell(host: CellHost, input: SpawnInput, signal: AbortSignal): Promise<SpawnedCell> {
  const { cellId, request } = input;
  const { gitDirectory } = await openRepository(
    {
      repository: request.repository ?? host.repository ?? '',
      allowed: host.repositories,
      mirrorsDirectory: hostPaths(host.stateDirectory).repositories,
    },
    signal,
  );
  const lease = await keepLease(host, input);
  const known = await findHealthy(host, lease, signal);
  if (known) return known;

  const baseCommit = await resolveBase(gitDirectory, request.branch, signal);
  const paths = cellPaths(host.stateDirectory, cellId);
  await using made = new AsyncDisposableStack();
  made.defer(async () => void (await host.leases.update(cellId, placeOnly)));
  await host.leases.update(cellId, {
    state: 'spawning',
    gitDirectory,
    baseCommit,
    worktree: paths.worktree,
    tokenBudget: request.tokenBudget,
  });
  await mkdir(paths.artifacts, { recursive: true, mode: 0o700 });
  const place = { gitDirectory, path: paths.worktree };
  made.defer(async () => void (await removeWorktree(place)));
  await addWorktree({ ...place, commit: baseCommit, signal });
  await rememberProjectFile(place);
  made.defer(async () => void (await discard(host.stateDirectory, paths.home)));
  await prepareHome(paths.home);
  const server = await bootOnFreePort(host, input, { ...lease, worktree: paths.worktree }, made, signal);
  await restoreProjectFile(place);
  await host.leases.update(cellId, { state: 'ready' });
  made.move();
  return {
    cellId,
    port: server.port,
    worktree: paths.worktree,
    baseCommit,
    versions: { agentCells: version, opencode: server.version },
  };
}

const placeOnly = { state: 'claimed', worktree: null, port: null, server: null } satisfies Partial<Lease>;

/** What an earlier run of the same step has made, if all of it is still there and well. */
export async function findHealthy(host: CellHost, lease: Lease, signal: AbortSignal): Promise<SpawnedCell | null> {
  const { cellId, port, worktree, baseCommit } = lease;
  if (lease.state !== 'ready' || port === null || worktree === null || baseCommit === null) return null;
  if (!(await serverLives(host, lease))) return null;
  const password = await cellSecret(host.stateDirectory, cellId);
  const opencode = await proveServer({ port, password, worktree }, signal).catch(() => null);
  return opencode === null ? null : { cellId, port, worktree, baseCommit, versions: { agentCells: version, opencode } };
}

/** Boots the server of a cell whose worktree and home are there. What it makes is deferred to `made`. */
export async function bootOnFreePort(
  host: CellHost,
  { cellId, request }: SpawnInput,
  lease: Lease & { worktree: string },
  made: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<{ port: number; version: string }> {
  const { ports: directory } = hostPaths(host.stateDirectory);
  const password = await cellSecret(host.stateDirectory, cellId);
  const taken = new Set<number>();
  const { runtime } = host.runtimes[lease.runtime];
  await runtime.destroy(cellId);
  for (;;) {
    const { port } = await leasePort({ range: host.ports, directory, cellId, except: taken });
    made.defer(async () => void (await releasePort(directory, port, cellId)));
    made.defer(async () => void (await runtime.destroy(cellId)));
    await host.leases.update(cellId, { port });
    try {
      await runtime.holdPort(cellId, port);
      const address = { port, password, worktree: lease.worktree };
      const started = (server: Lease['server']) => host.leases.update(cellId, { server });
      const boot = () => startServer(host, { lease, request, address }, started, signal);
      return { port, version: await host.boots.runExclusive(boot) };
    } catch (error) {
      taken.add(port);
      if (!(error instanceof PortTaken) || taken.size >= portTries) throw error;
      host.log.warn({ cellId, port }, 'the port was taken between choice and bind; trying the next');
    }
  }
}
