import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { execa } from 'execa';
import { answeringEngine } from '../../src/cli/docker-engine.ts';
import { endCells } from '../../src/cli/end-cells.ts';
import { openLocalTemporal, type LocalTemporal } from '../../src/cli/local-temporal.ts';
import type { Cli } from '../../src/cli/cli.ts';
import type { IsolationName } from '../../src/domain/request.ts';
import { buildBaseImage } from '../../src/runtimes/docker/image.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { startScriptedModel } from '../../src/scripted-model/server.ts';
import { type SupervisorClient, connectSupervisor } from '../../src/supervisor/client.ts';
import { connectTemporal, temporalTarget } from '../../src/temporal/connection.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

/** Everything that the agents of the demo need. Disposing takes it all away again. */
export interface Stage extends AsyncDisposable {
  temporal: LocalTemporal;
  client: Client;
  namespace: string;
  /** Everything that the demo has on the disk. */
  directory: string;
  /** Path of the sample repository. */
  repository: string;
  stateDirectory: string;
  worker: WorkerProcess;
  /** Its cells end with the demo, in whatever way that ends. */
  supervisor: SupervisorClient;
  /** Where the control groups of its cells are, as in the settings. */
  cgroup: string;
  /** `provider/model` of every agent. */
  model: string;
  /** Workflow ids of the cells that were started: those that still run at the end are cancelled before their worker goes. */
  started: string[];
  /** Leaves logs and artifacts on the disk, and says where. */
  keepFiles(): void;
}

export interface StageOptions {
  /** A real model; undefined for the scripted one. */
  model: string | undefined;
  /** How its cells are isolated; undefined for the default of this host. */
  runtime: IsolationName | undefined;
  /** Cells at once; undefined for the default of a worker. */
  capacity: number | undefined;
  cli: Cli;
  signal: AbortSignal;
}

const nodeDirectory = dirname(process.execPath);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Puts up server, model, repository and worker, in this order; what was put up is taken down in reverse when a step fails. */
export async function openStage({ model, runtime, capacity, cli, signal }: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const say = (line: string) => cli.note(cli.noteColors.dim(line));
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'agent-cells-demo-')));
  let keep = false;
  stack.defer(async () => {
    if (keep) cli.note(`Logs and artifacts are kept in ${directory}`);
    else await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const logs = { temporal: join(directory, 'temporal.log'), worker: join(directory, 'worker.log') };
  say('Temporal: looking for a server …');
  const { temporal: environment, providerEnvironment, cgroup, docker, path } = cli.config();
  if (runtime === 'docker') await buildBaseImage(await answeringEngine(cli), say);
  const temporal = stack.use(
    await openLocalTemporal({ environment, port: 0, logFile: logs.temporal, onStep: say, signal }),
  );
  const connection = stack.use(await connectTemporal(temporalTarget(temporal.environment)));
  say(`Temporal: ${temporal.address}${temporal.uiAddress === null ? '' : `, Web UI ${temporal.uiAddress}`}`);
  const repository = await makeRepository(join(directory, 'sample-repository'));
  const opencodeConfig = model === undefined ? await startModel(directory, stack) : null;
  const stateDirectory = join(directory, 'state');
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const supervisor = stack.use(
    await connectSupervisor(stateDirectory, { groups: cgroup, docker, endsWithWorkers: true }),
  );
  stack.defer(async () => void (await supervisor.stop({ force: true })));
  const worker = stack.use(
    await startWorkerProcess({
      directory,
      logFile: logs.worker,
      env: {
        ...temporal.environment,
        // A .env file of the checkout is read here; the worker runs elsewhere.
        ...providerEnvironment,
        CELLS_HOST_ID: 'demo',
        ...(runtime === undefined ? {} : { CELLS_RUNTIME: runtime }),
        // The tests of the sample repository run on Node.js, which may be where a confined cell does not see it.
        PATH: [nodeDirectory, path].join(delimiter),
        CELLS_VOLUMES: nodeDirectory,
        CELLS_STATE_DIR: stateDirectory,
        CELLS_REPOSITORY: repository,
        CELLS_REPOSITORIES: '',
        CELLS_METRICS_ADDRESS: '127.0.0.1:0',
        CELLS_LOG_FORMAT: 'json',
        // Of a host that is to be empty in the end: a server that waits for the next cell would be what is left.
        ...(capacity === undefined ? {} : { CELLS_CAPACITY: String(capacity), CELLS_WARM: '0' }),
        ...(opencodeConfig === null ? {} : { CELLS_OPENCODE_CONFIG: opencodeConfig }),
      },
      client: connection.client,
      signal,
    }),
  );
  const started: string[] = [];
  stack.defer(async () => {
    await endCells(connection.client, started, 'the demo ends');
  });
  say(`Worker: serving ${repository}`);
  const owned = stack.move();
  return {
    temporal,
    client: connection.client,
    namespace: connection.target.namespace,
    directory,
    repository,
    stateDirectory,
    worker,
    supervisor,
    cgroup,
    model: model ?? scriptedModelId,
    started,
    keepFiles: () => void (keep = true),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function makeRepository(path: string): Promise<string> {
  await cp(join(root, 'examples', 'sample-repository'), path, { recursive: true });
  const options = {
    cwd: path,
    env: { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    stdin: 'ignore',
  } as const;
  const identity = ['-c', 'user.name=Demo', '-c', 'user.email=demo@example.invalid'];
  await execa('git', ['init', '--quiet', '--initial-branch=main'], options);
  await execa('git', ['add', '--all'], options);
  await execa('git', [...identity, 'commit', '--quiet', '--message', 'A small library with failing tests'], options);
  return path;
}

/** Answers the path of the OpenCode configuration that knows the model. */
async function startModel(directory: string, stack: AsyncDisposableStack): Promise<string> {
  const model = stack.use(await startScriptedModel({ file: join(root, 'examples', 'scripts', 'demo.yaml') }));
  const file = join(directory, 'opencode.json');
  await writeFile(file, JSON.stringify(opencodeProvider(model.url)));
  return file;
}
