import { once } from 'node:events';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverPlace } from '../../../src/cell/server-place.ts';
import { type CellHandle, type IsolationName, cancelCell, cellState } from '../../../src/client.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { waitUntil } from '../../support/wait-until.ts';

const scripts = fileURLToPath(new URL('../../fixtures/scripts/hostile.yaml', import.meta.url));

/** Planted where no cell may read. Nothing but the files and environments that they are planted in holds one of them whole. */
export const canaries = {
  key: 'sk-canary-of-the-gateway-0123456789',
  sshKey: 'canary-of-the-ssh-key',
  other: 'canary-of-another-cell',
} as const;

/** Of a machine that is busy, milliseconds. */
const patience = 240_000;

/** A host with a user who has secrets, services that listen, and a cell of somebody else at work. */
export interface Stage extends AsyncDisposable {
  fleet: Fleet;
  /** What scripts know of it. */
  variables: Record<string, string>;
  /** A directory in which everybody may write: the names of the traps that the host ran into. */
  marks(): Promise<string[]>;
  /** Ends the other cell. */
  endBystander(): Promise<void>;
}

export async function setStage(runtime: IsolationName, start: 'cold' | 'warm', dockerHost: string): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const at = (name: string) => join(directory.path, name);
  const fleet = stack.use(
    await startFleet({
      scripts,
      env: {
        CELLS_RUNTIME: runtime,
        CELLS_WARM: start === 'warm' ? '1' : '0',
        DOCKER_HOST: dockerHost,
        SCRIPTED_API_KEY: canaries.key,
        HOME: directory.path,
        ...(runtime === 'process' ? {} : { CELLS_CELL_DISK: '200m' }),
      },
    }),
  );
  await mkdir(at('.ssh'), { mode: 0o700 });
  await writeFile(at('.ssh/id_ed25519'), `${canaries.sshKey}\n`, { mode: 0o600 });
  await mkdir(at('marks'));
  await fleet.repository.git('init', '--quiet', '--bare', at('upstream.git'));
  await fleet.repository.git('remote', 'add', 'upstream', at('upstream.git'));
  const branch = 'cells/an-earlier-task/another';
  await fleet.repository.git('branch', branch);
  const abstract = `agent-cells-hostile-${process.pid}-${Date.now()}`;
  stack.use(await listening(at('service.sock')));
  stack.use(await listening(`\0${abstract}`));

  const other = await fleet.start('bystander');
  const bystander = await untilAtWork(fleet, other);
  await using supervisor = await connectSupervisor(fleet.stateDirectory);
  const { home, config: configFile, modelSocket } = await serverPlace(fleet.stateDirectory, bystander.cellId);
  await waitUntil(async () => (await readdir(home)).includes('secret.txt'), patience);
  const half = canaries.key.length / 2;
  const owned = stack.move();
  return {
    fleet,
    variables: {
      STATE: fleet.stateDirectory,
      REPOSITORY: fleet.repository.path,
      USER_HOME: directory.path,
      MARKS: at('marks'),
      // In halves: a search for the whole must not find this.
      KEY_BEGIN: canaries.key.slice(0, half),
      KEY_END: canaries.key.slice(half),
      SSH_CANARY: canaries.sshKey,
      OTHER_CANARY: canaries.other,
      OTHER_BRANCH: branch,
      OTHER: bystander.cellId,
      OTHER_WORKTREE: bystander.worktree,
      OTHER_HOME: home,
      OTHER_PORT: String(bystander.port),
      OTHER_CONFIG: configFile,
      OTHER_SOCKET: modelSocket,
      WORKER: String(fleet.worker.pid),
      SUPERVISOR: String((await supervisor.info()).pid),
      TEMPORAL_PORT: fleet.env['TEMPORAL_ADDRESS']?.split(':').at(-1) ?? '',
      METRICS_PORT: new URL(fleet.metricsUrl).port,
      MODEL_PORT: new URL(fleet.model.url).port,
      DOCKER_SOCKET: dockerHost.slice('unix://'.length),
      HOST_SOCKET: at('service.sock'),
      ABSTRACT_SOCKET: abstract,
      // Seconds that nobody else sleeps for: by them what stays is found.
      STAYS_AGENT: `86${process.pid}`,
      STAYS_TEST: `87${process.pid}`,
    },
    marks: () => readdir(at('marks')),
    async endBystander() {
      await cancelCell(fleet.client, other.workflowId);
      await other.result().catch(() => undefined);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function listening(path: string): Promise<AsyncDisposable> {
  const server: Server = createServer((connection) => connection.destroy());
  server.listen(path);
  await once(server, 'listening');
  return { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}

async function untilAtWork({ client }: Fleet, { workflowId }: CellHandle) {
  const look = async () => (await cellState(client, workflowId)).cell;
  await waitUntil(async () => (await cellState(client, workflowId)).step === 'execute', patience);
  const { cellId, worktree, port } = await look();
  if (cellId === null || worktree === null || port === null) throw new Error('a cell at work has a place');
  return { cellId, worktree, port };
}

/** Every file of the caller's repository but the objects and what a cell is meant to make there, as text, by name. */
export async function callersRepository(path: string): Promise<Record<string, string>> {
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const ofCells = /^\.git\/(objects|worktrees|logs\/refs|refs)\/(.*\/)?(cells\/|[0-9a-f]{2}\/|pack\/|info\/)/;
  const kept = files.filter((file) => !ofCells.test(file.slice(path.length + 1)));
  const contents = await Promise.all(kept.map((file) => readFile(file, 'latin1')));
  return Object.fromEntries(kept.map((file, index) => [file.slice(path.length + 1), contents[index] ?? '']));
}
