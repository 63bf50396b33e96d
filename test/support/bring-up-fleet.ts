import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import waitFor from 'p-wait-for';
import { type CellHandle, type CellRequest, connectTemporal, startCell, temporalTarget } from '../../src/client.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { type ScriptedModel, startScriptedModel } from '../../src/scripted-model/server.ts';
import { type FleetHost, describeHost } from './fleet-host.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { testRuntime } from './test-runtime.ts';
import { type TemporaryRepository, temporaryRepository } from './temporary-repository.ts';

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

/**
 * Hosts with a worker process each, the first of which is this one, and all that they need: a repository, a scripted model, and
 * a namespace of their own on the shared Temporal server.
 */
export interface Fleet extends FleetHost, AsyncDisposable {
  client: Client;
  repository: TemporaryRepository;
  model: ScriptedModel;
  /** Brings up one more host, with a host id and a state directory of its own, and starts its worker. */
  addHost(env?: Record<string, string>): Promise<FleetHost>;
  /** Starts a cell that plays a script. `agentId` defaults to the script's name. */
  start(script: string, request?: Partial<CellRequest>): Promise<CellHandle>;
}

let fleets = 0;

/** Brings up a worker and waits until it serves cells, in a test or in any other program. Disposing it cancels what still runs and ends the worker. */
export async function bringUpFleet(options: FleetOptions): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const repository = stack.use(await temporaryRepository(options.files));
  const model = stack.use(await startScriptedModel({ file: options.scripts ?? suite }));
  const { temporalAddress, detached = false } = options;
  const namespace = await makeNamespace(temporalAddress, `fleet-${process.pid}-${(fleets += 1)}`);
  const opencodeConfig = join(directory.path, 'opencode.json');
  await writeFile(opencodeConfig, JSON.stringify({ ...opencodeProvider(model.url), model: scriptedModelId }));
  const env = {
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
    CELLS_RUNTIME: testRuntime(),
    // What is booted ahead takes memory and time from the cells of other tests; those about it ask for it.
    CELLS_WARM: '0',
    CELLS_METRICS_ADDRESS: '127.0.0.1:0',
    CELLS_LOG_FORMAT: 'json',
    ...options.env,
  };
  const { TEMPORAL_NAMESPACE, TEMPORAL_CONFIG_FILE } = env;
  const target = { TEMPORAL_ADDRESS: temporalAddress, TEMPORAL_NAMESPACE, TEMPORAL_CONFIG_FILE };
  const { client } = stack.use(await connectTemporal(temporalTarget(target)));
  const first = describeHost(env, detached);
  const hosts = [first];
  const fleet: Fleet = Object.assign(first, {
    client,
    repository,
    model,
    async addHost(settings: Record<string, string> = {}) {
      const number = hosts.length + 1;
      const own = {
        CELLS_HOST_ID: `${first.hostId}-${number}`,
        CELLS_STATE_DIR: join(directory.path, `state-${number}`),
      };
      const host = describeHost({ ...env, ...own, ...settings }, detached);
      hosts.push(host);
      await host.startWorker();
      return host;
    },
    start: (script: string, request: Partial<CellRequest> = {}) =>
      startCell(client, { taskId: 'task', agentId: script, prompt: `Do it. [script: ${script}]`, ...request }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  });
  stack.defer(async () => void (await Promise.all(hosts.map(({ worker }) => worker.end()))));
  await fleet.startWorker();
  stack.defer(() => endOpenCells(fleet));
  const owned = stack.move();
  return fleet;
}

/** A namespace of its own keeps the fleets of parallel test files apart: they would claim each other's cells. */
export async function makeNamespace(address: string, namespace: string): Promise<string> {
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
