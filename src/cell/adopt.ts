import { rename, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { SpawnInput } from '../../activities/contract.ts';
import { checkHealth, openDirectory } from '../opencode/server.ts';
import { furnishSandbox } from './confine.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellPaths, hostPaths, warmPaths } from './paths.ts';
import { releasePorts } from './ports.ts';
import { releaseWorktree } from './release-worktree.ts';
import { cellSecret } from './secret.ts';
import { adoptedBy, adoptedFile } from './server-place.ts';
import { discard } from './trash.ts';
import { isUsable } from './warm-pool.ts';
import { type WarmServer, claimWarm, listWarm } from './warm-record.ts';
import { warmLimits } from './warm-server.ts';
import { configName, writeConfig } from './write-config.ts';

/** A load goes on when the step that began it is over. */
const loading = new AbortController().signal;

export type ReadyServer = WarmServer & { ready: NonNullable<WarmServer['ready']> };

/** Makes a server that was booted ahead a cell's own, if there is one that fits; null when there is none. Only `releaseAdopted` undoes it. */
export async function claimServer(
  host: CellHost,
  { cellId, request }: SpawnInput,
  lease: Pick<Lease, 'runtime' | 'model' | 'limits' | 'allow'>,
): Promise<ReadyServer | null> {
  // The environment of a server is that of its start, and so is what its sandbox shows and allows.
  if (lease.runtime !== host.defaultRuntime || Object.keys(request.env).length > 0) return null;
  const { confines } = host.runtimes[lease.runtime].runtime;
  if (confines && (lease.allow.length > 0 || !isDeepStrictEqual(lease.limits, warmLimits(host)))) return null;
  // So are the models that it knows.
  if (host.models?.covers(lease.model) === false) return null;
  for (const { id, record } of (await listWarm(host.stateDirectory)).records) {
    if (record === null || !isReady(record) || !(await isUsable(host, record))) continue;
    if (await claimWarm(host.stateDirectory, id, cellId)) return record;
  }
  return null;
}

/**
 * Has the server that a cell has claimed load its worktree. Its port is the cell's from now on.
 *
 * A configuration that a server of this worker has taken is not waited for again: loading goes on beside what comes next.
 *
 * @param worktree settles when the worktree is there, which the server needs last; what it rejects with is thrown
 * @throws when the server is not well
 */
export async function adoptServer(
  host: CellHost,
  { id, ready: { port, opencode: version } }: ReadyServer,
  { cellId, request }: SpawnInput,
  lease: Lease & { worktree: string },
  worktree: Promise<void>,
  signal: AbortSignal,
): Promise<AdoptedServer> {
  await takeFiles(host, cellId, id);
  const password = await cellSecret(host.stateDirectory, cellId);
  const address = { port, password, worktree: lease.worktree };
  await checkHealth(address, signal);
  await worktree;
  await writeConfig(host, request, lease);
  await furnishSandbox(host, lease, signal);
  const loaded = openDirectory(address, loading);
  if (!host.proven.has(configName(lease))) await loaded;
  return { port, version, loaded };
}

export interface AdoptedServer {
  port: number;
  version: string;
  /** The server has loaded what it needs for the worktree; rejects when it could not. */
  loaded: Promise<void>;
}

/** Ends the server that a cell adopted, with all that belongs to it. Idempotent; answers whether there was one. */
export async function releaseAdopted(host: CellHost, { cellId, runtime, gitDirectory }: Lease): Promise<boolean> {
  const { stateDirectory } = host;
  const id = await adoptedBy(stateDirectory, cellId);
  if (id === null) return false;
  const { directory, worktree } = warmPaths(stateDirectory, id);
  await host.runtimes[runtime].runtime.destroy(id);
  await releasePorts(hostPaths(stateDirectory).ports, id);
  await releaseWorktree(host, gitDirectory, worktree);
  await discard(stateDirectory, directory);
  await rm(adoptedFile(stateDirectory, cellId, id), { force: true });
  return true;
}

const isReady = (record: WarmServer): record is ReadyServer => record.ready !== null;

/** The password moves to where every cell has its own, and the log, which goes on being written, to the artifacts. */
async function takeFiles({ stateDirectory }: CellHost, cellId: string, id: string): Promise<void> {
  const [cell, warm] = [cellPaths(stateDirectory, cellId), warmPaths(stateDirectory, id)];
  await rename(warm.secret, cell.secret);
  await rename(warm.serverLog, cell.serverLog);
}
