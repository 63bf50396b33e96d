import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { cellMarker } from '../../src/domain/names.ts';
import { opencodeBinary } from '../../src/opencode/binary.ts';
import { cellConfig } from '../../src/opencode/config.ts';
import { writeModels } from '../../src/opencode/models.ts';
import { prepareHome, serverEnvironment } from '../../src/opencode/profile.ts';
import { type ServerAddress, proveServer } from '../../src/opencode/server.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { endMarked } from '../support/opencode-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Changes to what a cell's server is started with. */
export interface Changes {
  /** Variables on top of the usual ones; null takes one away, `{{home}}` is the server's home. */
  env?: Readonly<Record<string, string | null>>;
  /** Fields on top of the usual configuration. */
  config?: Readonly<Record<string, unknown>>;
  /** Puts something into the home before the server starts. */
  prepare?: (home: string) => Promise<void>;
}

/** A server as a cell has it, without anything of a cell around it. */
export interface BareServer extends AsyncDisposable {
  pid: number;
  /** From the start of the process until it has proved to be well, milliseconds. */
  bootMs: number;
  address: ServerAddress;
}

export interface BarePlace {
  modelUrl: string;
  worktree: string;
}

/** Boots a server until it has proved to be well. */
export async function bootBareServer(
  place: BarePlace,
  { prepare, ...changes }: Changes,
  signal: AbortSignal,
): Promise<BareServer> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await temporaryDirectory());
  await prepareHome(home.path);
  await prepare?.(home.path);
  const marker = `bench-${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  const usual = await bareEnvironment({ ...place, home: home.path, password }, changes);
  stack.defer(() => endMarked(marker));
  const log = join(home.path, 'server.log');
  const started = performance.now();
  const server = execa(opencodeBinary, ['serve', '--hostname', '127.0.0.1', '--port', '0', '--print-logs'], {
    cwd: place.worktree,
    extendEnv: false,
    env: { ...usual, [cellMarker]: marker },
    stdin: 'ignore',
    stdout: { file: log },
    stderr: { file: log },
    reject: false,
  });
  const address = { port: await listeningPort(log, signal), password, worktree: place.worktree };
  await proveServer(address, signal);
  const bootMs = performance.now() - started;
  const owned = stack.move();
  return { pid: server.pid ?? 0, bootMs, address, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The environment of a cell's server, with changes. */
export async function bareEnvironment(
  { modelUrl, worktree, home, password }: BarePlace & { home: string; password: string },
  { env = {}, config = {} }: Changes,
): Promise<Record<string, string>> {
  const base = opencodeProvider(modelUrl);
  const usual = await cellConfig({
    base,
    model: scriptedModelId,
    agent: {},
    worktree,
    home,
    gateway: null,
  });
  const known = await writeModels({ directory: home, base, models: [scriptedModelId], providerEnvironment: {} });
  const modelsFile = known?.file ?? null;
  const environment = serverEnvironment({
    home,
    password,
    configFile: join(home, 'opencode.json'),
    modelsFile,
    path: process.env['PATH'] ?? '',
    env: {},
    providerEnvironment: {},
  });
  // All of it where nothing goes over it, so that whatever a cell has can be changed; there is no file.
  const content = JSON.stringify({ ...JSON.parse(usual), ...config });
  const all: Record<string, string | null> = { ...environment, OPENCODE_CONFIG_CONTENT: content, ...env };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) =>
      value === null ? [] : [[name, value.replaceAll('{{home}}', home)]],
    ),
  );
}

/** A request that is sent before the server says that it listens is never answered. */
async function listeningPort(log: string, signal: AbortSignal): Promise<number> {
  const port = async () => /listening on \S+:(\d+)/.exec(await readFile(log, 'utf8').catch(() => ''))?.[1];
  await waitFor(async () => (await port()) !== undefined, { interval: 50, timeout: 90_000, signal });
  return Number(await port());
}
