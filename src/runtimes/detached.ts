import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { cellMarker, execMarker, ownerMarker } from '../domain/names.ts';
import type { IsolationName } from '../domain/request.ts';
import { commandPart, createCellGroups, serverPart } from './cgroup.ts';
import { cellStats } from './cell-stats.ts';
import type { GroupRoot } from './cgroup-root.ts';
import { endProcesses } from './end-processes.ts';
import type { Launch } from './launch.ts';
import { type CellLimits, noLimits } from './limit-groups.ts';
import { createPortHolder, type PortHolder, type RelayTarget } from './port-holder.ts';
import { runCommand } from './process-exec.ts';
import { belongsTo, currentBootId, isAlive, isSame, type ProcessEntry, scanProcesses } from './processes.ts';
import type { CellRuntime, Command, ExecResult, Probe, ProcessSpec, RuntimeHandle, RuntimeStatus } from './runtime.ts';
import { spawnDetached } from './spawn-detached.ts';
import { stopProcesses } from './stop-processes.ts';

export interface DetachedOptions {
  /** The id of the state directory whose cells these are: processes of other owners are never touched or listed. */
  owner: string;
  /** How long processes have between SIGTERM and SIGKILL, in milliseconds. @default 3000 */
  graceMs?: number;
  /** The most that a command's log file may take, in bytes. @default 64 MiB */
  outputLimitBytes?: number;
  /** Where the control groups of the cells are made. Default: nowhere, and cells are found by their environment alone. */
  groupRoot?: GroupRoot;
  /** Holds the ports of the cells. Default: one of its own. */
  ports?: PortHolder;
}

/** What one kind of such a runtime has of its own. */
export interface DetachedKind {
  name: IsolationName;
  confines: boolean;
  unsupported: CellRuntime['unsupported'];
  probe(): Promise<Probe>;
  /** What is started for a process of a cell, or for a command: the part says which. */
  launch(spec: ProcessSpec, part: string): Promise<Launch>;
  /** Where the server of a cell is reached that listens on this port. */
  target(cellId: string, serverPort: number): Promise<RelayTarget>;
  /** Limits of cells; left out where there are none. */
  limits?: CellLimits;
  /** Called when a process or a command has ended with all that belongs to it. Idempotent. */
  ended?(cellId: string, part: string): Promise<void>;
  /** Called when all processes of a cell have ended. Idempotent. */
  released?(cellId: string): Promise<void>;
}

/** A host on which nobody looked for control groups. */
export const noGroups: GroupRoot = { root: null, why: 'nobody looked for control groups' };

/** A group that is empty for longer than this is neither being made nor being removed, milliseconds. */
const settlingMs = 200;

/**
 * A runtime whose cells are processes of this host: children of this process, in sessions of their own. They are told apart by their
 * control groups, where the host has some, and by markers in their environment.
 */
export function createDetachedRuntime(kind: DetachedKind, options: DetachedOptions): CellRuntime {
  const { owner, outputLimitBytes = 64 * 1024 * 1024, ports = createPortHolder() } = options;
  const { groupRoot = noGroups } = options;
  // What confines a cell would end at once when it is asked, and take all that is in it along.
  const graceMs = kind.confines ? 0 : (options.graceMs ?? 3000);
  const groups = groupRoot.root === null ? null : createCellGroups(groupRoot.root, owner);
  /** Exit codes are told to the parent alone, which this worker may be. By identity; a cell's go when it is destroyed. */
  const exits = new Map<string, { cellId: string; exit: Promise<number | null> }>();
  /** Commands that run, by cell and part. */
  const runs = new Map<string, Promise<void>>();
  /** Groups that are being removed, by cell. The kernel keeps a group until the memory of what died in it is given back. */
  const removals = new Map<string, Promise<unknown>>();
  const removeSoon = (cellId: string) => {
    if (groups === null && kind.limits === undefined) return;
    // One that cannot be removed has nothing alive in it, and is found by `listEmpty`.
    const removal: Promise<unknown> = Promise.allSettled([groups?.remove(cellId), kind.limits?.remove(cellId)]).finally(
      () => removals.get(cellId) === removal && removals.delete(cellId),
    );
    removals.set(cellId, removal);
  };
  const launchIn = async (spec: ProcessSpec, part: string): Promise<Launch> => {
    const own = groups === null ? [] : [await groups.make(spec.cellId, part)];
    const launch = await kind.launch(spec, part);
    const limited = (await kind.limits?.enter(spec.cellId, spec.confinement?.limits ?? noLimits)) ?? [];
    return { ...launch, groups: [...own, ...launch.groups, ...limited] };
  };
  /** What a sandbox consists of is not all a child of what was started. */
  const isOfServer = ({ marks }: ProcessEntry, cellId: string) =>
    kind.confines &&
    marks.some((mark) => mark.owner === owner && mark.cellId === cellId && mark.part === serverPart) &&
    marks.every(({ part }) => part === null || part === serverPart);
  const emptyGroups = async () => [
    ...new Set([...((await groups?.listEmpty()) ?? []), ...((await kind.limits?.listEmpty()) ?? [])]),
  ];
  const markers = (cellId: string) => ({ [ownerMarker]: owner, [cellMarker]: cellId });

  const memoryEnds = async (cellId: string) => (await kind.limits?.memoryEnds(cellId)) ?? 0;
  const watchingMemory = async (cellId: string, run: () => Promise<ExecResult>): Promise<ExecResult> => {
    const before = await memoryEnds(cellId);
    const result = await run();
    return (await memoryEnds(cellId)) > before ? { ...result, outOfMemory: true } : result;
  };

  return {
    name: kind.name,
    confines: kind.confines,
    unsupported: kind.unsupported,
    probe: () => kind.probe(),
    async start(spec: ProcessSpec, signal: AbortSignal): Promise<RuntimeHandle> {
      signal.throwIfAborted();
      await using log = await openLog(spec.logFile);
      await removals.get(spec.cellId);
      const env = { ...spec.env, ...markers(spec.cellId) };
      const launch = await launchIn(spec, serverPart);
      const { child, identity, exit } = await spawnDetached(spec, launch, env, log.fd, signal);
      if (signal.aborted) {
        await endProcesses((process) => isSame(process, identity) || isOfServer(process, spec.cellId), graceMs);
        signal.throwIfAborted();
      }
      child.unref();
      exits.set(keyOf(identity), { cellId: spec.cellId, exit });
      void exit.then(() => ports.cut(spec.cellId));
      return { version: 1, runtime: kind.name, cellId: spec.cellId, ...identity, bootId: currentBootId() };
    },
    exec(command: Command, signal: AbortSignal) {
      const { cellId, execId } = command;
      const part = commandPart(execId);
      const name = `${cellId}/${part}`;
      const env = { ...command.env, ...markers(cellId), [execMarker]: execId };
      const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId, part);
      const group = groups && {
        kill: () => groups.kill(cellId, part),
        remove: () => groups.remove(cellId, part),
      };
      const launch = async () => {
        await removals.get(cellId);
        return launchIn(command, part);
      };
      const ended = () => kind.ended?.(cellId, part).catch(() => undefined);
      const earlier = runs.get(name) ?? Promise.resolve();
      const terms = { env, isOurs, earlier, group, launch, graceMs, outputLimitBytes };
      const run = watchingMemory(cellId, () => runCommand(command, terms, signal));
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
      const cause = (await memoryEnds(handle.cellId)) > 0 ? { outOfMemory: true } : {};
      return known === undefined
        ? { kind: 'gone', ...cause }
        : { kind: 'exited', exitCode: await known.exit, ...cause };
    },
    stats: async (cellId) => cellStats(owner, cellId, (await kind.limits?.memoryLimit(cellId)) ?? null),
    holdPort: (cellId, port) => ports.hold(cellId, port),
    relayPort: async (cellId, serverPort) => ports.relay(cellId, await kind.target(cellId, serverPort)),
    pause: async (cellId) =>
      (await groups?.freeze(cellId)) ?? (await stopProcesses((process) => belongsTo(process, owner, cellId))),
    async destroy(cellId: string): Promise<number> {
      ports.cut(cellId);
      const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId);
      const ended = await endProcesses(isOurs, graceMs, groups === null ? undefined : () => groups.kill(cellId));
      removeSoon(cellId);
      await kind.released?.(cellId);
      await ports.release(cellId);
      for (const [key, known] of exits) if (known.cellId === cellId) exits.delete(key);
      return ended;
    },
    async list(): Promise<readonly string[]> {
      const marks = (await scanProcesses()).flatMap((process) => process.marks);
      const ours = marks.filter((mark) => mark.owner === owner);
      return [...new Set(ours.map(({ cellId }) => cellId))].toSorted();
    },
    async listEmpty(): Promise<readonly string[]> {
      const seen = await emptyGroups();
      if (seen.length === 0) return [];
      // One that is just being made gets a process, and one that is just being removed goes.
      await delay(settlingMs);
      const still = new Set(await emptyGroups());
      const living = new Set(await this.list());
      return seen.filter((cellId) => still.has(cellId) && !living.has(cellId)).toSorted();
    },
  };
}

/** Appended to by the cell's processes themselves, so that it goes on when the worker ends. */
async function openLog(logFile: string): Promise<FileHandle> {
  const log = await open(logFile, 'a', 0o600);
  await log.chmod(0o600);
  return log;
}

const keyOf = (process: { pid: number; startTime: string }): string => `${process.pid}:${process.startTime}`;
