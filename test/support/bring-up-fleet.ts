import { once } from 'node:events';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { type CellHandle, type CellRequest, startCell } from '../../src/client.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { type ScriptedModel, startScriptedModel } from '../../src/scripted-model/server.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { type TemporaryRepository, temporaryRepository } from './temporary-repository.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const suite = fileURLToPath(new URL('../fixtures/scripts/suite.yaml', import.meta.url));

export interface FleetOptions {
  /** Settings of the worker on top of those of the fleet. */
  env?: Record<string, string>;
  /** Files of the repository's first commit. */
  files?: Record<string, string>;
  /** A file of scripts. Default: `test/fixtures/scripts/suite.yaml`. */
  scripts?: string;
  temporalAddress: string;
  /** Puts the worker into a session of its own: Ctrl-C in a terminal then reaches its starter alone, which ends it in order. */
  detached?: boolean;
}

/** A worker process of its own, with all that it needs: a repository, a scripted model, and a namespace of its own on the shared Temporal server. */
export interface Fleet extends AsyncDisposable {
  client: Client;
  hostId: string;
  stateDirectory: string;
  repository: TemporaryRepository;
  model: ScriptedModel;
  metricsUrl: string;
  /** The environment of the worker, for commands that are to see the same host. */
  env: Record<string, string>;
  /** The worker's process, while one runs. */
  worker: WorkerProcess;
  /** Starts another worker process on the same state directory, after the first was ended. */
  startWorker(): Promise<WorkerProcess>;
  /** Starts a cell that plays a script. `agentId` defaults to the script's name. */
  start(script: string, request?: Partial<CellRequest>): Promise<CellHandle>;
}

interface WorkerProcess {
  pid: number;
  metricsUrl: string;
  /** Everything that it has written so far. */
  log(): string;
  /** Sends a signal and waits for the end. Answers the exit code, null when the signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

let fleets = 0;

/** Brings up a worker and waits until it serves cells, in a test or in any other program. Disposing it cancels what still runs and ends the worker. */
export async function bringUpFleet(options: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const repository = stack.use(await temporaryRepository(options.files));
  const model = stack.use(await startScriptedModel({ file: options.scripts ?? suite }));
  const { temporalAddress } = options;
  const namespace = await makeNamespace(temporalAddress, `fleet-${process.pid}-${(fleets += 1)}`);
  const opencodeConfig = join(directory.path, 'opencode.json');
  await writeFile(opencodeConfig, JSON.stringify({ ...opencodeProvider(model.url), model: scriptedModelId }));
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: directory.path,
    AGENT_CELLS_TEST_RUN: process.env['AGENT_CELLS_TEST_RUN'] ?? '',
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_NAMESPACE: namespace,
    TEMPORAL_CONFIG_FILE: '/dev/null',
    CELLS_HOST_ID: `host-${process.pid}-${fleets}`,
    CELLS_STATE_DIR: join(directory.path, 'state'),
    CELLS_REPOSITORY: repository.path,
    CELLS_OPENCODE_CONFIG: opencodeConfig,
    // What is booted ahead takes memory and time from the cells of other tests; those about it ask for it.
    CELLS_WARM: '0',
    CELLS_METRICS_ADDRESS: '127.0.0.1:0',
    CELLS_LOG_FORMAT: 'json',
    ...options.env,
  };
  const connection = await Connection.connect({ address: temporalAddress });
  stack.defer(() => connection.close());
  const client = new Client({ connection, namespace });
  const fleet: Fleet = {
    client,
    hostId: env['CELLS_HOST_ID'] ?? '',
    stateDirectory: env['CELLS_STATE_DIR'] ?? '',
    repository,
    model,
    metricsUrl: '',
    env,
    worker: { pid: 0, metricsUrl: '', log: () => '', end: () => Promise.resolve(null) },
    async startWorker() {
      fleet.worker = await startWorker(env, options.detached ?? false);
      fleet.metricsUrl = fleet.worker.metricsUrl;
      return fleet.worker;
    },
    start: (script, request = {}) =>
      startCell(client, { taskId: 'task', agentId: script, prompt: `Do it. [script: ${script}]`, ...request }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  stack.defer(async () => void (await fleet.worker.end()));
  await fleet.startWorker();
  stack.defer(() => endOpenCells(fleet));
  const owned = stack.move();
  return fleet;
}

/** A namespace of its own keeps the fleets of parallel test files apart: they would claim each other's cells. */
async function makeNamespace(address: string, namespace: string): Promise<string> {
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    await waitFor(() => isServed(connection, namespace), { interval: 200, timeout: 60_000 });
  } finally {
    await connection.close();
  }
  return namespace;
}

/** A namespace is known to the parts of the server one after the other. */
async function isServed(connection: Connection, namespace: string): Promise<boolean> {
  return await new Client({ connection, namespace }).workflow.count().then(
    () => true,
    () => false,
  );
}

async function startWorker(env: Record<string, string>, detached: boolean): Promise<WorkerProcess> {
  const child = execa(process.execPath, [join(root, 'src/cli/main.ts'), 'worker'], {
    cwd: root,
    env,
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    reject: false,
    cleanup: true,
    detached,
    // A worker that is busy takes its time to hand its cells back.
    forceKillAfterDelay: false,
  });
  let log = '';
  child.all.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const exited = once(child, 'exit');
  const metricsUrl = () => /"metricsUrl":"([^"]+)"/.exec(log)?.[1];
  await waitFor(() => metricsUrl() !== undefined || child.exitCode !== null, { interval: 50, timeout: 240_000 });
  const url = metricsUrl();
  if (url === undefined) throw new Error(`the worker ended before it was ready:\n${log}`);
  return {
    pid: child.pid ?? 0,
    metricsUrl: url,
    log: () => log,
    async end(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await exited;
      }
      return child.exitCode;
    },
  };
}

/** What a test leaves running is cancelled, and its teardown waited for, with a worker brought back where the test ended it. */
async function endOpenCells(fleet: Fleet): Promise<void> {
  const open = await Array.fromAsync(fleet.client.workflow.list({ query: "ExecutionStatus = 'Running'" }));
  if (open.length === 0) return;
  if ((await isRunning(fleet.worker.pid)) === false) await fleet.startWorker();
  await Promise.all(
    open.map(async ({ workflowId, runId }) => {
      const handle = fleet.client.workflow.getHandle(workflowId, runId);
      await handle.cancel().catch(() => undefined);
      await handle.result().catch(() => undefined);
    }),
  );
}

async function isRunning(pid: number): Promise<boolean> {
  return await access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}
