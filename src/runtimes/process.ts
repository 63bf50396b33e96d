import { type FileHandle, open } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cellMarker, execMarker, ownerMarker } from '../domain/names.ts';
import { type CellGroups, commandPart, createCellGroups, serverPart } from './cgroup.ts';
import { cellStats } from './cell-stats.ts';
import type { GroupRoot } from './cgroup-root.ts';
import { endProcesses } from './end-processes.ts';
import { createPortHolder, type PortHolder } from './port-holder.ts';
import { runCommand } from './process-exec.ts';
import { belongsTo, currentBootId, isAlive, isSame, type ProcessEntry, scanProcesses } from './processes.ts';
import type { CellRuntime, Command, Probe, ProcessSpec, RuntimeHandle, RuntimeStatus } from './runtime.ts';
import { spawnDetached } from './spawn-detached.ts';

export interface ProcessRuntimeOptions {
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

/** A group that is empty for longer than this is neither being made nor being removed, milliseconds. */
const settlingMs = 200;

/**
 * Cells as plain processes of the worker's user. They are told apart by their control groups, where the host has some, and by markers
 * in their environment: what a cell keeps to, it keeps to by convention.
 */
export function createProcessRuntime(options: ProcessRuntimeOptions): CellRuntime {
  const { owner, graceMs = 3000, outputLimitBytes = 64 * 1024 * 1024, ports = createPortHolder() } = options;
  const { groupRoot = { root: null, why: 'nobody looked for control groups' } } = options;
  const groups = groupRoot.root === null ? null : createCellGroups(groupRoot.root, owner);
  /** Exit codes are told to the parent alone, which this worker may be. By identity; a cell's go when it is destroyed. */
  const exits = new Map<string, { cellId: string; exit: Promise<number | null> }>();
  /** Commands that run, by cell and part. */
  const runs = new Map<string, Promise<void>>();
  /** Groups that are being removed, by cell. The kernel keeps a group until the memory of what died in it is given back. */
  const removals = new Map<string, Promise<unknown>>();
  const removeSoon = (from: CellGroups, cellId: string) => {
    // One that cannot be removed has nothing alive in it, and is found by `listEmpty`.
    const removal: Promise<unknown> = from
      .remove(cellId)
      .catch(() => undefined)
      .finally(() => removals.get(cellId) === removal && removals.delete(cellId));
    removals.set(cellId, removal);
  };
  const markers = (cellId: string) => ({ [ownerMarker]: owner, [cellMarker]: cellId });

  return {
    name: 'process',
    confines: false,
    unsupported: {
      resources: 'the process runtime cannot limit the memory, the processors or the number of processes of a cell',
      network: 'in the process runtime a cell has the network of its host',
    },
    probe: () => probe(groupRoot),
    async start(spec: ProcessSpec, signal: AbortSignal): Promise<RuntimeHandle> {
      signal.throwIfAborted();
      await using log = await openLog(spec.logFile);
      await removals.get(spec.cellId);
      const group = groups === null ? null : await groups.make(spec.cellId, serverPart);
      const env = { ...spec.env, ...markers(spec.cellId) };
      const { child, identity, exit } = await spawnDetached(spec, env, log.fd, group);
      if (signal.aborted) {
        await endProcesses((process) => isSame(process, identity), graceMs);
        signal.throwIfAborted();
      }
      child.unref();
      exits.set(keyOf(identity), { cellId: spec.cellId, exit });
      void exit.then(() => ports.cut(spec.cellId));
      return { version: 1, runtime: 'process', cellId: spec.cellId, ...identity, bootId: currentBootId() };
    },
    exec(command: Command, signal: AbortSignal) {
      const { cellId, execId } = command;
      const part = commandPart(execId);
      const name = `${cellId}/${part}`;
      const env = { ...command.env, ...markers(cellId), [execMarker]: execId };
      const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId, part);
      const group = groups && {
        make: async () => {
          await removals.get(cellId);
          return groups.make(cellId, part);
        },
        kill: () => groups.kill(cellId, part),
        remove: () => groups.remove(cellId, part),
      };
      const earlier = runs.get(name) ?? Promise.resolve();
      const run = runCommand(command, { env, isOurs, earlier, group, graceMs, outputLimitBytes }, signal);
      const over = run.then(
        () => undefined,
        () => undefined,
      );
      runs.set(name, over);
      void over.then(() => runs.get(name) === over && runs.delete(name));
      return run;
    },
    async inspect(handle: RuntimeHandle): Promise<RuntimeStatus> {
      if (handle.bootId !== currentBootId()) return { kind: 'gone' };
      if (isAlive(handle)) return { kind: 'running' };
      const known = exits.get(keyOf(handle));
      return known === undefined ? { kind: 'gone' } : { kind: 'exited', exitCode: await known.exit };
    },
    stats: (cellId) => cellStats(owner, cellId, null),
    holdPort: (cellId, port) => ports.hold(cellId, port),
    relayPort: async (cellId, serverPort) => ports.relay(cellId, serverPort),
    async destroy(cellId: string): Promise<number> {
      ports.cut(cellId);
      const isOurs = (process: ProcessEntry) => belongsTo(process, owner, cellId);
      const ended = await endProcesses(isOurs, graceMs, groups === null ? undefined : () => groups.kill(cellId));
      if (groups !== null) removeSoon(groups, cellId);
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
      const seen = (await groups?.listEmpty()) ?? [];
      if (seen.length === 0) return [];
      // One that is just being made gets a process, and one that is just being removed goes.
      await delay(settlingMs);
      const still = new Set(await groups?.listEmpty());
      const living = new Set(await this.list());
      return seen.filter((cellId) => still.has(cellId) && !living.has(cellId)).toSorted();
    },
  };
}

async function probe(groups: GroupRoot): Promise<Probe> {
  const instead = 'run the worker on Linux, or in a Linux container or virtual machine';
  if (process.platform !== 'linux') {
    return { usable: false, why: `it finds processes in /proc, which ${process.platform} does not have`, try: instead };
  }
  const self = (await scanProcesses()).find((entry) => entry.pid === process.pid);
  if (self === undefined)
    return { usable: false, why: '/proc is not mounted', try: 'mount a proc file system at /proc' };
  const hasPipes = await promisify(execFile)('mkfifo', ['--help']).then(
    () => true,
    () => false,
  );
  if (!hasPipes) return { usable: false, why: 'there is no mkfifo on the PATH', try: 'install coreutils' };
  return {
    usable: true,
    notes: [
      'separates cells by convention and does not confine them: a cell can read, write and reach whatever the user of the worker can',
      groups.root === null
        ? `processes are found by the markers in their environment alone (${groups.why}): a program that sheds them and leaves its parent is not found`
        : `processes are found by control group (cgroup v2, in ${groups.root}) and by the markers in their environment`,
    ],
  };
}

/** Appended to by the cell's processes themselves, so that it goes on when the worker ends. */
async function openLog(logFile: string): Promise<FileHandle> {
  const log = await open(logFile, 'a', 0o600);
  await log.chmod(0o600);
  return log;
}

const keyOf = (process: { pid: number; startTime: string }): string => `${process.pid}:${process.startTime}`;
