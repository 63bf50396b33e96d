import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { version } from '../domain/version.ts';
import { opencodeVersion } from '../opencode/binary.ts';
import { prepareHome, serverEnvironment } from '../opencode/profile.ts';
import { proveServer } from '../opencode/server.ts';
import type { Limits, RuntimeHandle } from '../runtimes/runtime.ts';
import { askRuntimes } from './ask-runtimes.ts';
import { confineWarm } from './confine.ts';
import type { CellHost } from './host.ts';
import { holdFreePort } from './hold-port.ts';
import { usualLimits } from './limits.ts';
import { serverKeys } from './model-door.ts';
import { hostPaths, warmPaths } from './paths.ts';
import { releasePorts } from './ports.ts';
import { releaseWorktree } from './release-worktree.ts';
import { makeSecret } from './secret.ts';
import { isAdopted } from './server-place.ts';
import { startServer } from './start-server.ts';
import { discard } from './trash.ts';
import { type WarmServer, dropWarm, listWarm, writeWarm } from './warm-record.ts';

/** What servers of this host are started with, as a hash; what differs from one to the next is left out. */
export function profileOf(host: CellHost): string {
  const { path, models, ports, volumes, dockerImage } = host;
  const own = { home: '', password: '', configFile: '', modelsFile: models?.file ?? null, env: {} };
  const environment = serverEnvironment({ ...own, path, providerEnvironment: serverKeys(host, host.defaultRuntime) });
  const others = { ports, volumes, dockerImage, limits: warmLimits(host) };
  return createHash('sha256')
    .update(JSON.stringify([version, opencodeVersion, environment, models?.digest, others]))
    .digest('hex');
}

/** What a server that is booted ahead may use: as much as that of a cell that asks for nothing. */
export const warmLimits = (host: CellHost): Limits => usualLimits(host, host.defaultRuntime);

/** Boots a server that no cell needs yet, until it is ready to be adopted. On failure nothing is left of it. */
export async function bootWarm(host: CellHost, signal: AbortSignal): Promise<void> {
  const { stateDirectory, defaultRuntime: runtime } = host;
  const id = randomBytes(8).toString('hex');
  const paths = warmPaths(stateDirectory, id);
  const profile = profileOf(host);
  const record: WarmServer = { version: 2, id, runtime, profile, createdAt: Date.now(), ready: null };
  await using made = new AsyncDisposableStack();
  made.defer(async () => void (await endWarm(host, id)));
  await writeWarm(stateDirectory, record);
  await mkdir(paths.idle, { recursive: true, mode: 0o700 });
  // The state directory may lie in a repository, in which OpenCode would leave its mark: here the search ends.
  await writeFile(join(paths.idle, '.git'), 'gitdir: /nonexistent\n');
  await prepareHome(paths.home);
  const confinement = await confineWarm(host, id, { runtime, limits: warmLimits(host) });
  const password = await makeSecret(paths.secret);
  const { home, idle: directory, config: configFile, serverLog: logFile } = paths;
  const modelsFile = host.models?.file ?? null;
  let server: RuntimeHandle | null = null;
  const serverPort = await startServer(
    host,
    { runtime, mark: id, directory, home, configFile, modelsFile, password, env: {}, confinement, logFile },
    async (handle) => (server = handle),
    signal,
  );
  const terms = { runtime, mark: id, drafts: paths.directory, chosen: () => Promise.resolve() };
  const port = await holdFreePort(host, terms, made);
  await host.runtimes[runtime].runtime.relayPort(id, serverPort);
  // With this it has done in its own directory what is slow only the first time.
  const opencode = await proveServer({ port, password, worktree: directory }, signal);
  if (server === null) throw new Error('a server that listens was started');
  await writeWarm(stateDirectory, { ...record, ready: { server, port, opencode } });
  made.move();
}

/**
 * Ends a server that no cell has adopted; one that a cell has by now is left alone, for whoever looked may have looked a while ago.
 * Idempotent; answers whether there was anything of it.
 */
export async function endWarm(host: CellHost, id: string): Promise<boolean> {
  const { stateDirectory } = host;
  const { records } = await listWarm(stateDirectory);
  const runtime = records.find((found) => found.id === id)?.record?.runtime;
  const waited = await dropWarm(stateDirectory, id);
  // Without a record it is a cell's, or what is left of an ending that was cut short.
  if (!waited && (await isAdopted(stateDirectory, id))) return false;
  // What another runtime cannot tell about is none of its business.
  const ended = runtime
    ? [await host.runtimes[runtime].runtime.destroy(id)]
    : await askRuntimes(host, (one) => one.destroy(id));
  const { directory, worktree } = warmPaths(stateDirectory, id);
  await releasePorts(hostPaths(stateDirectory).ports, id);
  // A cell may have adopted it whose lease was lost since, and with it the name of the repository.
  const gone = [await releaseWorktree(host, null, worktree), await discard(stateDirectory, directory)];
  return waited || gone.includes(true) || ended.some((count) => count > 0);
}
