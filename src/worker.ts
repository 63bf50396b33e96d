import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import type { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { Runtime, Worker, type WorkerOptions, makeTelemetryFilterString } from '@temporalio/worker';
import getPort from 'get-port';
import { createClaimActivities, createHostActivities } from '../activities/index.ts';
import type { CellHost } from './cell/host.ts';
import { acquireHostLock } from './cell/hostlock.ts';
import { emptyTrash, trashEmptied } from './cell/trash.ts';
import type { Config } from './config.ts';
import { claimTaskQueue, hostTaskQueue, workflowTaskQueue } from './domain/names.ts';
import { version } from './domain/version.ts';
import { startRunner } from './runner/runner.ts';
import { type SupervisorClient, connectSupervisor } from './supervisor/client.ts';
import type { Logger } from './telemetry/log.ts';
import { metrics } from './telemetry/metrics.ts';
import { temporalLogger } from './telemetry/temporal-log.ts';
import { connectTemporal, connectWorker, temporalTarget } from './temporal/connection.ts';
import { type Admission, startAdmission } from './worker/admission/admission.ts';
import { unprotectedIn } from './worker/choose-runtime.ts';
import { claimSlots } from './worker/claim-slots.ts';
import { createGauges } from './worker/gauges.ts';
import { gatewayMetrics } from './worker/gateway-metrics.ts';
import { identityOnHostQueue, refuseTwin } from './worker/host-twin.ts';
import { makeHost } from './worker/make-host.ts';
import { startMetricsServer } from './worker/metrics-server.ts';
import { askTemporal, startReaping } from './worker/reaping.ts';
import { startSampling } from './worker/sampling.ts';
import { registerSearchAttributes } from './worker/search-attributes.ts';
import { type Workers, serve } from './worker/serve.ts';
import { requireSocketRoom } from './worker/socket-room.ts';
import type { StopPlan } from './worker/stop-plan.ts';
import { roomBeside, startWarming } from './worker/warming.ts';

export interface WorkerRun {
  log: Logger;
  /** Ends the worker: no more cells are claimed, and those that it has are dealt with as `stop` says. */
  signal: AbortSignal;
  /** Default: agents stay at work for the next worker. */
  stop?: StopPlan;
  /** Agents end with this worker, in whatever way it ends, where no other is attached to the supervisor. Default: they outlive it. */
  endsWithWorkers?: boolean;
  /** Called once the worker serves its queues. */
  ready?: (worker: { hostId: string; metricsUrl: string }) => void;
}

const runnerMain = fileURLToPath(new URL(`./worker/runner-main${extname(import.meta.url)}`, import.meta.url));

/** Steps that run get this long to hand their cell back, then they are cut off; milliseconds. */
const shutdownGrace = 5_000;
const shutdownForce = 20_000;

/**
 * Runs the worker of this host until the signal aborts: workflows, claims and the steps of the cells that live here.
 * Agents outlive it: the next worker on the same state directory takes them up.
 *
 * @throws UserError when a setting, Temporal, or another worker on the state directory is in the way.
 */
export async function runWorker(config: Config, run: WorkerRun): Promise<void> {
  const { log, signal, stop = { kind: 'leave' }, endsWithWorkers = false, ready } = run;
  requireSocketRoom(config.stateDirectory, 'the supervisor');
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(await acquireHostLock(config.stateDirectory));
  stack.use(startRunner(runnerMain));
  const supervisor = stack.use(
    await connectSupervisor(config.stateDirectory, { groups: config.cgroup, docker: config.docker, endsWithWorkers }),
  );
  await warnOfSupervisor(supervisor, log);
  // Where it keeps cells alive for the next worker it refuses, and stays.
  stack.defer(async () => void (await supervisor.stop()));
  const host = await makeHost(config, log, { supervisor });
  if (host.runtimes[host.defaultRuntime].runtime.confines) requireSocketRoom(config.stateDirectory, 'confined cells');
  warnOfRuntime(config, host);
  await host.audit.record({ event: 'worker', state: 'started', version, runtime: host.defaultRuntime });
  stack.defer(() => host.audit.record({ event: 'worker', state: 'stopped', version }));
  await emptyTrash(host);
  stack.defer(trashEmptied);
  const target = temporalTarget(config.temporal);
  const { client, connection } = stack.use(await connectClient(target));
  await registerSearchAttributes(connection, target.namespace);
  const identity = { hostId: config.hostId, stateDirectoryId: lock.id };
  await refuseTwin(connection, { namespace: target.namespace, identity, log, signal });

  const sdkMetrics = `127.0.0.1:${await getPort({ host: '127.0.0.1' })}`;
  installRuntime(log, sdkMetrics);
  const native = await connectWorker(target);
  stack.defer(() => native.close());
  const meter = Runtime.instance().metricMeter;
  const reaped = meter.createCounter(metrics.reaped.name, metrics.reaped.unit, metrics.reaped.description);
  stack.use(
    await startReaping(host, client, {
      reaped,
      artifactRetentionMs: config.artifactRetentionMs,
      auditRetentionMs: config.auditRetentionMs,
    }),
  );

  const alerts = metrics.memoryAlerts;
  stack.use(startSampling(host, client, { alerts: meter.createCounter(alerts.name, alerts.unit, alerts.description) }));

  const admission = stack.use(await startAdmission(host, config));
  signal.addEventListener('abort', admission.stop, { once: true });
  const updateGauges = createGauges(meter, host, admission);
  stack.use(startWarming(host, roomBeside(admission)));

  const workers = await createWorkers(config, host, admission, native, {
    namespace: target.namespace,
    onHostQueue: identityOnHostQueue(identity),
  });
  const server = stack.use(
    await startMetricsServer(config.metricsAddress, {
      async metrics() {
        await updateGauges();
        const ofSdk = await (await fetch(`http://${sdkMetrics}/metrics`)).text();
        return ofSdk + (await gatewayMetrics(host.gateway, host.hostId));
      },
      health: () => ({
        healthy: Object.values(workers).every((worker) => worker.getState() === 'RUNNING'),
        host: config.hostId,
        outages: host.providers.list().filter(({ outage }) => outage !== null),
        workers: Object.fromEntries(
          Object.values(workers).map((worker: Worker) => [worker.options.taskQueue, worker.getState()]),
        ),
        admission: admission.state(),
      }),
    }),
  );
  const whenReady = () => ready?.({ hostId: config.hostId, metricsUrl: `${server.url}/metrics` });
  await serve(workers, host, { signal, stop, isOpen: askTemporal(client), ready: whenReady });
}

/** One of another version that was needed when we came stays. */
async function warnOfSupervisor(supervisor: SupervisorClient, log: Logger): Promise<void> {
  const found = await supervisor.info();
  if (found.version === version) return;
  log.warn(
    { supervisor: found.version, worker: version, cells: found.cells },
    `the supervisor of this host is of version ${found.version} and keeps ${found.cells.length} cells; ` +
      'it is replaced by the next worker that starts when it has none, or when it has ended: `cells supervisor --stop`',
  );
}

function warnOfRuntime({ runtime }: Config, { defaultRuntime, log }: CellHost): void {
  const danger = unprotectedIn(defaultRuntime);
  if (danger === null) return;
  const hint = runtime === null ? '; `cells doctor` says how to make a stronger one usable' : '';
  log.warn(`the runtime of this host is ${defaultRuntime}, which confines nothing: ${danger}${hint}`);
}

async function connectClient(target: ReturnType<typeof temporalTarget>) {
  const connected = await connectTemporal(target);
  return {
    client: connected.client,
    connection: connected.client.connection as Connection,
    [Symbol.asyncDispose]: () => connected[Symbol.asyncDispose](),
  }; // `connectTemporal` made it
}

/** Signals are ours to handle: the SDK would shut down by itself and leave the rest of the worker running. */
function installRuntime(log: Logger, bindAddress: string): void {
  const seconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
  const histograms = Object.values(metrics).filter(({ kind }) => kind === 'histogram');
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      metrics: {
        prometheus: {
          bindAddress,
          histogramBucketOverrides: Object.fromEntries(histograms.map(({ name }) => [name, seconds])),
        },
      },
    },
  });
}

async function createWorkers(
  config: Config,
  host: CellHost,
  admission: Admission,
  connection: NativeConnection,
  { namespace, onHostQueue }: { namespace: string; onHostQueue: string },
): Promise<Workers> {
  const identity = (role: string) => `${config.hostId}/${role}/${process.pid}`;
  const common = {
    connection,
    namespace,
    shutdownGraceTime: shutdownGrace,
    shutdownForceTime: shutdownForce,
    maxHeartbeatThrottleInterval: '5s',
  } satisfies Partial<WorkerOptions>;
  const [workflows, claims, steps] = await Promise.all([
    Worker.create({
      ...common,
      ...workflowSource(),
      taskQueue: workflowTaskQueue,
      identity: identity('workflows'),
      // Of cells that wait in the queue nothing has to be kept in memory: they are replayed from a few events when it is their turn.
      maxCachedWorkflows: config.capacity * 2 + 50,
    }),
    Worker.create({
      ...common,
      taskQueue: claimTaskQueue,
      identity: identity('claim'),
      activities: { ...createClaimActivities(host, admission.refuse) },
      activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
      tuner: {
        activityTaskSlotSupplier: claimSlots(admission),
        workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
        localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
        nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
      },
    }),
    Worker.create({
      ...common,
      taskQueue: hostTaskQueue(config.hostId),
      identity: onHostQueue,
      activities: { ...createHostActivities(host) },
      // Each cell has one step at a time and messages beside it: a step never waits for a slot.
      maxConcurrentActivityTaskExecutions: config.capacity * 2 + 20,
      activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
    }),
  ]);
  return { workflows, claims, steps };
}

/** The shipped package has its workflows bundled; from a checkout they are bundled now. */
function workflowSource(): Pick<WorkerOptions, 'workflowBundle'> | Pick<WorkerOptions, 'workflowsPath'> {
  const bundle = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
  if (existsSync(bundle)) return { workflowBundle: { codePath: bundle } };
  return { workflowsPath: fileURLToPath(new URL(`../workflows/index${extname(import.meta.url)}`, import.meta.url)) };
}
