import { access } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { cellMarker, execMarker, ownerMarker } from '../domain/names.ts';
import { commandPart, serverPart } from './cgroup.ts';
import { type ContainerExit, startAttached } from './docker/attached.ts';
import { connectEngine, connectEngineIfAny } from './docker/client.ts';
import { containerStats } from './docker/container-stats.ts';
import { containerOptions } from './docker/container.ts';
import { cellsWith, removeContainers } from './docker/containers.ts';
import { runInContainer } from './docker/exec.ts';
import { firstProcess } from './docker/first-process.ts';
import { baseImageName, variablesOf } from './docker/image.ts';
import { pauseContainers, resumeToEnd } from './docker/pause.ts';
import { type DockerHost, probeDocker } from './docker/probe.ts';
import { lookUpServices } from './docker/services.ts';
import { appendOutput, openLog } from './docker/server-log.ts';
import { unlessHung } from './docker/unless-hung.ts';
import { endProcesses } from './end-processes.ts';
import type { DetachedOptions } from './detached.ts';
import { inCell } from './in-cell.ts';
import { createPortHolder } from './port-holder.ts';
import { belongsTo, currentBootId, isAlive, type ProcessEntry } from './processes.ts';
import type { CellRuntime, Command, ProcessSpec, RuntimeHandle, RuntimeStatus } from './runtime.ts';
import { findProgram, reasonOf } from './spawn-detached.ts';
import { createCellWays } from './ways.ts';

export interface DockerOptions extends DetachedOptions {
  /** The engine and its image. Default: the engine of this host, and the base image that is made here. */
  docker?: DockerHost;
}

/** What a host has that is not told otherwise. */
const hostEngine: DockerHost = { host: null, image: null, project: 'agent-cells' };

/** A container that is not running for longer than this is neither being made nor being removed, milliseconds. */
const settlingMs = 200;

/**
 * Cells as containers of the Docker engine of this host: a cell sees the system, its own files and its own processes, and has no network
 * but the sockets that it is given. Each process that is started and each command has a container of its own.
 */
export function createDockerRuntime(options: DockerOptions): CellRuntime {
  const { owner, outputLimitBytes = 64 * 1024 * 1024, ports = createPortHolder(), docker = hostEngine } = options;
  const ways = createCellWays(lookUpServices(docker));
  /** How processes ended, by identity; a cell's go when it is destroyed. */
  const exits = new Map<string, { cellId: string; exit: Promise<ContainerExit> }>();
  /** Commands that run, by cell and part. */
  const runs = new Map<string, Promise<void>>();

  const launch = async (spec: ProcessSpec, part: string, marks: Record<string, string>, signal: AbortSignal) => {
    signal.throwIfAborted();
    const { cellId, confinement } = spec;
    if (confinement === undefined) throw new Error(`what cell ${cellId} may see was not said`);
    const env = { ...spec.env, [ownerMarker]: owner, [cellMarker]: cellId, ...marks };
    const hostSystem = docker.image === null;
    const refuse = (why: string, cause: unknown): never => {
      throw new Error(`cannot start ${spec.command[0]} for cell ${cellId}: ${why}`, { cause });
    };
    try {
      await access(spec.directory);
      if (hostSystem) await findProgram(spec, env);
    } catch (error) {
      return refuse(await reasonOf(error, spec), error);
    }
    const begin = async () => {
      const engine = await connectEngine(docker.host);
      const image = docker.image ?? (await baseImageName());
      const command = firstProcess(inCell(spec.command, confinement, env), env, await variablesOf(engine, image));
      signal.throwIfAborted();
      await ways.open(cellId, part, confinement);
      const terms = { owner, part, image, hostSystem, command, env };
      return await startAttached(engine, await containerOptions(spec, confinement, terms), signal);
    };
    try {
      return await unlessHung(begin(), signal);
    } catch (error) {
      await ways.close(cellId, part);
      signal.throwIfAborted();
      return refuse(error instanceof Error ? error.message : String(error), error);
    }
  };

  /** By their processes first, which is the quickest way and needs no engine; then by what the engine has. */
  const endAll = async (cellId: string, part?: string): Promise<number> => {
    const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId, part);
    const whose = { owner, cellId, ...(part === undefined ? {} : { part }) };
    const engine = await connectEngineIfAny(docker.host);
    // Where the engine fails to resume them, what is asked of it last says why.
    const [ended] = await Promise.all([endProcesses(isOurs, 0), resumeToEnd(engine, whose)]);
    if (engine !== null) await removeContainers(engine, whose);
    return ended;
  };

  return {
    name: 'docker',
    confines: true,
    unsupported: {},
    probe: () => probeDocker(docker),
    async start(spec: ProcessSpec, signal: AbortSignal): Promise<RuntimeHandle> {
      signal.throwIfAborted();
      const log = await openLog(spec.logFile);
      const container = await launch(spec, serverPart, {}, signal).catch(async (error: unknown) => {
        await log.close();
        throw error;
      });
      void appendOutput(container.output, log);
      exits.set(keyOf(container.identity), { cellId: spec.cellId, exit: container.exit });
      // One may outlive its engine, and serves its cell as before.
      void container.exit.then(() => isAlive(container.identity) || ports.cut(spec.cellId));
      const { pid, startTime } = container.identity;
      return { version: 1, runtime: 'docker', cellId: spec.cellId, pid, startTime, bootId: currentBootId() };
    },
    exec(command: Command, signal: AbortSignal) {
      const { cellId, execId } = command;
      const part = commandPart(execId);
      const name = `${cellId}/${part}`;
      const earlier = runs.get(name) ?? Promise.resolve();
      const terms = {
        start: (until: AbortSignal) => launch(command, part, { [execMarker]: execId }, until),
        earlier,
        endRuns: async () => void (await endAll(cellId, part)),
        outputLimitBytes,
      };
      const run = runInContainer(command, terms, signal);
      const ended = () => ways.close(cellId, part).catch(() => undefined);
      // One that is called off before it begins is over at once, and those before it may not be.
      const over = Promise.all([earlier, run.then(ended, ended)]).then(() => undefined);
      runs.set(name, over);
      void over.then(() => runs.get(name) === over && runs.delete(name));
      return run;
    },
    async inspect(handle: RuntimeHandle): Promise<RuntimeStatus> {
      if (handle.bootId !== currentBootId()) return { kind: 'gone' };
      if (isAlive(handle)) return { kind: 'running' };
      const known = exits.get(keyOf(handle));
      if (known === undefined) return { kind: 'gone' };
      const exit = await known.exit;
      if (exit.kind === 'lost') return { kind: 'gone' };
      return { kind: 'exited', exitCode: exit.exitCode, ...(exit.outOfMemory ? { outOfMemory: true } : {}) };
    },
    stats: async (cellId) => containerStats(await connectEngineIfAny(docker.host), owner, cellId),
    holdPort: (cellId, port) => ports.hold(cellId, port),
    relayPort: async (cellId, serverPort) => ports.relay(cellId, await ways.target(cellId, serverPort)),
    pause: async (cellId) => pauseContainers(await connectEngineIfAny(docker.host), { owner, cellId }),
    async destroy(cellId: string): Promise<number> {
      ports.cut(cellId);
      const ended = await endAll(cellId);
      await ways.close(cellId);
      await ports.release(cellId);
      for (const [key, known] of exits) if (known.cellId === cellId) exits.delete(key);
      return ended;
    },
    async list(): Promise<readonly string[]> {
      return cellsWith(await connectEngineIfAny(docker.host), owner, ({ State }) => State === 'running');
    },
    async listEmpty(): Promise<readonly string[]> {
      const engine = await connectEngineIfAny(docker.host);
      const look = () => cellsWith(engine, owner, ({ State }) => State !== 'running');
      const seen = await look();
      if (seen.length === 0) return [];
      // One that is just being made starts, and one that is just being removed goes.
      await delay(settlingMs);
      const still = new Set(await look());
      const living = new Set(await this.list());
      return seen.filter((cellId) => still.has(cellId) && !living.has(cellId));
    },
  };
}

const keyOf = (process: { pid: number; startTime: string }): string => `${process.pid}:${process.startTime}`;
