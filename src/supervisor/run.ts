import { once } from 'node:events';
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import { codeOf } from '../cell/create-file.ts';
import { stateDirectoryId } from '../cell/hostlock.ts';
import { cellPaths } from '../cell/paths.ts';
import { adoptedBy } from '../cell/server-place.ts';
import { waitingWarm } from '../cell/warm-record.ts';
import { version } from '../domain/version.ts';
import { createGateway } from '../gateway/gateway.ts';
import type { Failed } from '../gateway/refusal-count.ts';
import { openAudit } from '../journal/audit.ts';
import type { GroupSetting } from '../runtimes/cgroup-root.ts';
import { endOwner } from '../runtimes/end-owner.ts';
import { findRoots } from '../runtimes/found-roots.ts';
import { createPortHolder } from '../runtimes/port-holder.ts';
import { connectEngineIfAny } from '../runtimes/docker/client.ts';
import { resumeToEnd } from '../runtimes/docker/pause.ts';
import type { DockerHost } from '../runtimes/docker/probe.ts';
import { makeRuntimes } from '../runtimes/index.ts';
import { limitDirectories } from '../runtimes/limit-groups.ts';
import type { CellRuntime } from '../runtimes/runtime.ts';
import { createApi } from './api.ts';
import { auditedGateway, auditedRuntime } from './audited.ts';
import { holdLifeline } from './lifeline.ts';
import { acquireSupervisorLock, untilNoWatchdog } from './lock.ts';
import { type SupervisorInfo, apiVersion, socketOf } from './protocol.ts';

export interface SupervisorOptions {
  stateDirectory: string;
  /** How long it stays without a cell and without a worker, milliseconds. Default: one minute. */
  idleMs?: number;
  /** Where control groups are made. Default: `auto`. */
  groups?: GroupSetting;
  /** The engine of the docker runtime, and its image. Default: those of `DockerOptions`. */
  docker?: DockerHost;
  signal: AbortSignal;
  ready?: (info: { pid: number; socket: string }) => void;
}

/** How long a runtime may take to say which cells it has, milliseconds. */
const listLimit = 2_000;
/** How often it looks whether anybody still needs it, milliseconds. */
const lookEvery = 1_000;

/**
 * Runs the supervisor of a state directory until nobody needs it, or the signal aborts: the parent of every cell's
 * processes and the holder of their ports. When it ends, in whatever way, every cell ends with it.
 *
 * @throws SupervisorRunning when the state directory has one.
 */
export async function runSupervisor(options: SupervisorOptions): Promise<void> {
  const { stateDirectory, idleMs = 60_000, signal, ready } = options;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const owner = await stateDirectoryId(stateDirectory);
  await using stack = new AsyncDisposableStack();
  stack.use(await acquireSupervisorLock(owner, stateDirectory));
  const { groupRoot, limitRoot } = await findRoots(options.groups);
  // What an earlier supervisor left has no keeper any more, and so has ended by definition.
  await untilNoWatchdog(owner);
  const limitRoots = limitDirectories(limitRoot.root);
  const resume = async () => resumeToEnd(await connectEngineIfAny(options.docker?.host ?? null), { owner });
  await Promise.all([endOwner(owner, groupRoot.root, limitRoots), resume()]);
  const lifeline = await holdLifeline(owner, groupRoot.root, limitRoots);
  // The watchdog has no engine to ask.
  stack.defer(async () => void (await Promise.all([lifeline.release(), resume()])));

  const ports = stack.use(createPortHolder());
  const audit = openAudit(stateDirectory, { by: 'supervisor', lost: sayLost });
  const docker = options.docker === undefined ? {} : { docker: options.docker };
  const made = makeRuntimes({ owner, ports, groupRoot, limitRoot, ...docker });
  const runtimes = {
    process: auditedRuntime(made.process, audit),
    bubblewrap: auditedRuntime(made.bubblewrap, audit),
    docker: auditedRuntime(made.docker, audit),
  };
  const gateway = auditedGateway(
    stack.use(
      createGateway({
        ledgerOf: (cellId) => cellPaths(stateDirectory, cellId).modelLedger,
        refused: (refused) => void audit.record({ event: 'refused', what: 'model-request', ...refused }),
        failed: sayFailed,
      }),
    ),
    audit,
  );
  const startedAt = Date.now();
  const stopping = new AbortController();
  let workers = 0;
  const lists = Object.values(runtimes).map(patientList);
  const listWaiting = lastKnown(() => waitingWarm(stateDirectory));
  const info = async (): Promise<SupervisorInfo> => {
    const listed = await Promise.all(lists.map((list) => list()));
    const living = [...new Set([...listed.flat(), ...ports.cells()])];
    // Read after that: one that a cell adopts in between counts as a cell.
    const waiting = new Set(await listWaiting());
    const cells = living.filter((mark) => !waiting.has(mark));
    const warm = living.filter((mark) => waiting.has(mark));
    return { apiVersion, version, pid: process.pid, startedAt, cells, warm, workers };
  };
  const attached = (lastEndsAll: boolean) => {
    workers += 1;
    return () => {
      workers -= 1;
      if (lastEndsAll && workers === 0) stopping.abort();
    };
  };
  const closeDoor = async (mark: string) => {
    await gateway.close(mark);
    for (const { cellId } of gateway.accounts())
      if ((await adoptedBy(stateDirectory, cellId)) === mark) await gateway.close(cellId);
  };
  const api = createApi({ runtimes, gateway, closeDoor, info, attached, stop: () => stopping.abort() });
  const server = createAdaptorServer({ fetch: api.fetch }) as Server; // its HTTP/1 form, which is the default
  // A test command may run for hours.
  server.requestTimeout = 0;
  const socket = socketOf(stateDirectory);
  await listen(server, socket);
  stack.defer(() => closeServer(server, socket));
  await audit.record({ event: 'supervisor', state: 'started', version });
  stack.defer(() => audit.record({ event: 'supervisor', state: 'stopped', version }));
  ready?.({ pid: process.pid, socket });
  await untilNobodyNeedsIt({ info, idleMs, socket }, AbortSignal.any([signal, stopping.signal]));
}

/**
 * The cells of a runtime for those who cannot wait. An engine that fails or hangs would end, or keep from answering, the supervisor of all
 * cells, most of which may be none of its: of such a one holds what it last said.
 */
function patientList(runtime: CellRuntime): () => Promise<readonly string[]> {
  let last: readonly string[] = [];
  let hangs = false;
  return async () => {
    if (hangs) return last;
    const asking = runtime.list().then(
      (cellIds) => void (last = cellIds),
      () => undefined,
    );
    hangs = await Promise.race([asking.then(() => false), delay(listLimit, true, { ref: false })]);
    if (hangs) void asking.then(() => (hangs = false));
    return last;
  };
}

/** What was answered last goes for an answer that fails, for want of a descriptor say: it would end the supervisor of all cells. */
function lastKnown(ask: () => Promise<string[]>): () => Promise<string[]> {
  let last: string[] = [];
  return async () => (last = await ask().catch(() => last));
}

/** Into the log of the supervisor. */
const sayLost = (error: unknown): void => console.error('the audit log could not be written:', error);

/** Likewise: the cell is told no more than that it was so. */
const sayFailed = ({ cellId, count, error }: Failed): void =>
  console.error(
    `${new Date().toISOString()} the model gateway failed ${count === 1 ? 'a request' : `${count} more requests`} of the cell ${cellId}:`,
    error,
  );

async function listen(server: Server, socket: string): Promise<void> {
  // We hold the lock: a socket that lies there is what a killed one left.
  await rm(socket, { force: true });
  // It is made within this call. The mask is that of other threads as well, which make nothing yet.
  const before = process.umask(0o177);
  try {
    server.listen(socket);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
  await chmod(socket, 0o600);
}

async function closeServer(server: Server, socket: string): Promise<void> {
  // First nobody comes in any more, then whoever is in has to go: the other way round one could slip in between.
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
  await rm(socket, { force: true });
}

/** Without a cell, a worker, or its own socket (the state directory was removed) for a while, it is over. */
async function untilNobodyNeedsIt(
  { info, idleMs, socket }: { info: () => Promise<SupervisorInfo>; idleMs: number; socket: string },
  signal: AbortSignal,
): Promise<void> {
  let neededAt = Date.now();
  while (!signal.aborted && Date.now() - neededAt < idleMs) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, lookEvery);
      signal.addEventListener('abort', done, { once: true });
      function done() {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
    });
    if (await isRemoved(socket)) return;
    const { cells, workers } = await info();
    if (cells.length > 0 || workers > 0) neededAt = Date.now();
  }
}

/** Whether nothing is there. A disk that fails does not say so. */
const isRemoved = (path: string): Promise<boolean> =>
  stat(path).then(
    () => false,
    (error: unknown) => codeOf(error) === 'ENOENT',
  );
