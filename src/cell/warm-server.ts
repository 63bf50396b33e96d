import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { version } from '../domain/version.ts';
import { opencodeVersion } from '../opencode/binary.ts';
import { prepareHome, serverEnvironment } from '../opencode/profile.ts';
import { proveServer } from '../opencode/server.ts';
import type { CellRuntime, Limits, RuntimeHandle } from '../runtimes/runtime.ts';
import { confineWarm } from './confine.ts';
import type { CellHost } from './host.ts';
import { usualLimits } from './limits.ts';
import { serverKeys } from './model-door.ts';
import { warmPaths } from './paths.ts';
import { makeSecret } from './secret.ts';
import { startServer } from './start-server.ts';
import { discard } from './trash.ts';
import { type WarmServer, dropWarm, writeWarm } from './warm-record.ts';

/** What servers of this host are started with, as a hash; what differs from one to the next is left out. */
export function profileOf(host: CellHost): string {
  const { path, models, volumes, dockerImage } = host;
  const own = { home: '', password: '', configFile: '', modelsFile: models?.file ?? null, env: {} };
  const environment = serverEnvironment({ ...own, path, providerEnvironment: serverKeys(host, host.defaultRuntime) });
  const inside = { volumes, dockerImage, limits: warmLimits(host) };
  return createHash('sha256')
    .update(JSON.stringify([version, opencodeVersion, environment, models?.digest, inside]))
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
  const record: WarmServer = { version: 1, id, runtime, profile, createdAt: Date.now(), ready: null };
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
  const port = await startServer(
    host,
    { runtime, mark: id, directory, home, configFile, modelsFile, password, env: {}, confinement, logFile },
    async (handle) => (server = handle),
    signal,
  );
  const way = confinement === null ? port : await openWay(host.runtimes[runtime].runtime, id, port);
  // With this it has done in its own directory what is slow only the first time.
  const opencode = await proveServer({ port: way, password, worktree: directory }, signal);
  if (server === null) throw new Error('a server that listens was started');
  await writeWarm(stateDirectory, { ...record, ready: { server, port, opencode } });
  made.move();
}

/** Answers any port of this host that leads to a confined server. It stays until its cell ends, beside the one that the cell gets. */
async function openWay(runtime: CellRuntime, mark: string, serverPort: number): Promise<number> {
  const port = await getPort({ host: '127.0.0.1' });
  await runtime.holdPort(mark, port);
  await runtime.relayPort(mark, serverPort);
  return port;
}

/** Ends a server that no cell has adopted. Idempotent; answers whether there was anything of it. */
export async function endWarm(host: CellHost, id: string): Promise<boolean> {
  const { stateDirectory } = host;
  const waited = await dropWarm(stateDirectory, id);
  const ended = await Promise.all(Object.values(host.runtimes).map(({ runtime }) => runtime.destroy(id)));
  const { directory, worktree } = warmPaths(stateDirectory, id);
  const gone = [await discard(stateDirectory, worktree), await discard(stateDirectory, directory)];
  return waited || gone.includes(true) || ended.some((count) => count > 0);
}
