import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { endCells } from '../../src/cli/end-cells.ts';
import { openLocalTemporal, type LocalTemporal } from '../../src/cli/local-temporal.ts';
import type { Cli } from '../../src/cli/cli.ts';
import { claimTaskQueue, workflowTaskQueue } from '../../src/domain/names.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { startScriptedModel } from '../../src/scripted-model/server.ts';
import { connectTemporal, temporalTarget } from '../../src/temporal/connection.ts';

/** Everything that the agents of the demo need. Disposing takes it all away again. */
export interface Stage extends AsyncDisposable {
  temporal: LocalTemporal;
  client: Client;
  namespace: string;
  /** Path of the sample repository. */
  repository: string;
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
  cli: Cli;
  signal: AbortSignal;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Puts up server, model, repository and worker, in this order; what was put up is taken down in reverse when a step fails. */
export async function openStage({ model, cli, signal }: StageOptions): Promise<Stage> {
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
  const { temporal: environment, providerEnvironment } = cli.config();
  const temporal = stack.use(
    await openLocalTemporal({ environment, port: 0, logFile: logs.temporal, onStep: say, signal }),
  );
  const connection = stack.use(await connectTemporal(temporalTarget(temporal.environment)));
  say(`Temporal: ${temporal.address}${temporal.uiAddress === null ? '' : `, Web UI ${temporal.uiAddress}`}`);
  const repository = await makeRepository(join(directory, 'sample-repository'));
  const opencodeConfig = model === undefined ? await startModel(directory, stack) : null;
  const settings = { directory, repository, opencodeConfig, temporal, providerEnvironment };
  await startWorker({ settings, logFile: logs.worker, client: connection.client, stack, signal });
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
    repository,
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

interface WorkerStart {
  settings: {
    directory: string;
    repository: string;
    opencodeConfig: string | null;
    temporal: LocalTemporal;
    /** A .env file of the checkout is read here; the worker runs elsewhere. */
    providerEnvironment: Record<string, string>;
  };
  logFile: string;
  client: Client;
  stack: AsyncDisposableStack;
  signal: AbortSignal;
}

/** A process of its own, as on a real host: its log stays apart from the progress. */
async function startWorker({ settings, logFile, client, stack, signal }: WorkerStart): Promise<void> {
  const { directory, repository, opencodeConfig, temporal, providerEnvironment } = settings;
  const stateDirectory = join(directory, 'state');
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const worker = execa(process.execPath, [join(root, 'src', 'cli', 'main.ts'), 'worker'], {
    cwd: directory,
    env: {
      ...temporal.environment,
      ...providerEnvironment,
      CELLS_HOST_ID: 'demo',
      CELLS_STATE_DIR: stateDirectory,
      CELLS_REPOSITORY: repository,
      CELLS_REPOSITORIES: '',
      CELLS_METRICS_ADDRESS: '127.0.0.1:0',
      CELLS_LOG_FORMAT: 'json',
      ...(opencodeConfig === null ? {} : { CELLS_OPENCODE_CONFIG: opencodeConfig }),
    },
    // Of its own group: Ctrl-C in the terminal reaches the demo alone, which then ends the worker in order.
    detached: true,
    stdin: 'ignore',
    stdout: { file: logFile },
    stderr: { file: logFile },
    reject: false,
    forceKillAfterDelay: 60_000,
  });
  stack.defer(async () => {
    worker.kill('SIGTERM');
    await worker;
  });
  let ended: string | null = null;
  void worker.then(({ exitCode, shortMessage }) => (ended = shortMessage ?? `exit code ${exitCode}`));
  const ready = async () => {
    if (ended !== null) throw new Error(`the worker ended before it was ready (${ended}); see ${logFile}`);
    return (await polls(client, workflowTaskQueue, 1)) && (await polls(client, claimTaskQueue, 2));
  };
  await waitFor(ready, { interval: 300, timeout: 120_000, signal });
}

/** `type` is the server's number: 1 for workflows, 2 for activities. */
async function polls(client: Client, name: string, type: 1 | 2): Promise<boolean> {
  const { namespace } = client.options;
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name },
    taskQueueType: type,
  });
  return (pollers?.length ?? 0) > 0;
}
