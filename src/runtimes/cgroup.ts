import { constants } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * The control groups (cgroup v2) of one state directory: `agent-cells-<owner>/<cellId>/<part>`, a part being the server or one
 * command. A process is born in the group of its parent and leaves it for no session, double fork or empty
 * environment. Limits of a cell are files of the cell's group, for runtimes that set any.
 */
export interface CellGroups {
  /** Makes a group for what is about to start in a cell. Idempotent. Answers its directory, for `enterGroup`. */
  make(cellId: string, part: string): Promise<string>;
  /** The kernel ends everything in the groups of a part, a cell, or the whole state directory at once: no fork gets away. */
  kill(cellId?: string, part?: string): Promise<void>;
  /**
   * The kernel lets nothing in the group of a cell run until the answer is disposed of, whatever signals it gets but SIGKILL.
   * Null where the cell has no group.
   */
  freeze(cellId: string): Promise<AsyncDisposable | null>;
  /** Removes the same groups, which must have been killed. Idempotent. Answers whether there was one. */
  remove(cellId?: string, part?: string): Promise<boolean>;
  /** The cells that have groups, with or without processes in them. */
  list(): Promise<string[]>;
  /** Those of them with nothing in them, not even something that is dying. */
  listEmpty(): Promise<string[]>;
}

/** Where in the groups a process is. */
export interface GroupPlace {
  owner: string;
  cellId: string;
  part: string | null;
}

/** The part of a cell in which its server runs, and whatever its agent starts. */
export const serverPart = 'server';

/** The part of a cell in which one command runs. */
export const commandPart = (execId: string): string => `command-${encodeURIComponent(execId)}`;

/** A process that got SIGKILL leaves its group within this time, milliseconds, or hangs in the kernel. */
const emptyWithinMs = 5_000;
const pollMs = 10;
/** A process that does not freeze within this time, milliseconds, hangs in the kernel. */
const frozenWithinMs = 10_000;

/** @param root a directory that `findGroupRoot` answered */
export function createCellGroups(root: string, owner: string): CellGroups {
  const top = join(root, groupName(owner));
  const place = (cellId?: string, part?: string) => join(top, cellId ?? '.', part ?? '.');
  return {
    async make(cellId, part) {
      await mkdir(place(cellId, part), { recursive: true });
      return place(cellId, part);
    },
    kill: (cellId, part) => killGroup(place(cellId, part)),
    freeze: (cellId) => freezeGroup(place(cellId)),
    async remove(cellId, part) {
      const removed = await removeGroup(place(cellId, part));
      // With the last cell the group of the state directory goes too; while others have groups in it, it cannot.
      if (cellId !== undefined && part === undefined) await rmdir(top).catch(() => undefined);
      return removed;
    },
    list: () => childrenOf(top),
    async listEmpty() {
      const cellIds = await childrenOf(top);
      const empty = await Promise.all(cellIds.map((cellId) => isEmpty(place(cellId))));
      return cellIds.filter((_, index) => empty[index]);
    },
  };
}

/**
 * The command that joins a group and then becomes the other command, under the same process id: it is in the group before
 * anything of that command has run. It ends with 125 when it cannot join.
 */
export function enterGroup(
  directory: string,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): [string, ...string[]] {
  // The shell adds the working directory to the environment, which is to be exactly what was given.
  const clean = 'PWD' in env ? '' : 'unset PWD; ';
  return ['/bin/sh', '-c', `echo $$ > "$0/cgroup.procs" || exit 125; ${clean}exec "$@"`, directory, ...command];
}

/** The places that a text of `/proc/<pid>/cgroup` names: more than one where agent-cells runs in a cell of agent-cells. */
export function placesIn(text: string): GroupPlace[] {
  const path = /^0::(.*)$/m.exec(text)?.[1] ?? '';
  return [...path.matchAll(/\/agent-cells-([^/]+)\/([0-9a-f]{16})(?:\/([^/]+))?(?=\/|$)/g)].map(
    ([, owner = '', cellId = '', part]) => ({ owner, cellId, part: part ?? null }),
  );
}

/** The name of the directory in which the groups of one state directory are. */
export const groupName = (owner: string): string => `agent-cells-${owner}`;

async function killGroup(directory: string): Promise<void> {
  // Not there: the group is gone, or the kernel is older than 5.14; then signals end what is found to be in the group.
  await writeFile(join(directory, 'cgroup.kill'), '1', { flag: constants.O_WRONLY }).catch(unlessGone);
}

async function freezeGroup(directory: string): Promise<AsyncDisposable | null> {
  const write = (value: '0' | '1') =>
    writeFile(join(directory, 'cgroup.freeze'), value, { flag: constants.O_WRONLY }).then(
      () => true,
      (error: unknown) => {
        unlessGone(error);
        return false;
      },
    );
  const events = () => readFile(join(directory, 'cgroup.events'), 'utf8').catch(() => 'frozen 1');
  if (!(await write('1'))) return null;
  try {
    for (const deadline = performance.now() + frozenWithinMs; !/^frozen 1$/m.test(await events());) {
      if (performance.now() > deadline) throw new Error(`the processes of ${directory} do not come to rest`);
      await delay(1);
    }
  } catch (error) {
    await write('0');
    throw error;
  }
  return { [Symbol.asyncDispose]: async () => void (await write('0')) };
}

async function isEmpty(directory: string): Promise<boolean> {
  return /^populated 0$/m.test(await readFile(join(directory, 'cgroup.events'), 'utf8').catch(() => ''));
}

/** Whether a group of either version has no process in it; one that is not there has none. */
export async function isEmptyGroup(directory: string): Promise<boolean> {
  return (await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(() => '')).trim() === '';
}

/**
 * Makes a group with all above it. Idempotent.
 *
 * @param handDown in version 2, the directory from which down the controllers are handed on to the group; null in version 1
 */
export async function makeGroup(directory: string, handDown: string | null): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (handDown !== null) await writeFile(join(dirname(directory), 'cgroup.subtree_control'), '+memory +cpu +pids');
}

/** Removes a group with all below it, once its processes have gone. Idempotent: answers whether there was one. */
export async function removeGroup(directory: string, { unlessUsed = false } = {}): Promise<boolean> {
  if (unlessUsed)
    return rmdir(directory).then(
      () => true,
      () => false,
    );
  for (const child of await childrenOf(directory)) await removeGroup(join(directory, child));
  const deadline = performance.now() + emptyWithinMs;
  for (;;) {
    try {
      await rmdir(directory);
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      if (!hasCode(error, ['EBUSY', 'ENOTEMPTY']) || performance.now() > deadline) throw error;
    }
    await delay(pollMs);
  }
}

/** The names of the groups in a group. */
export const groupsIn = (directory: string): Promise<string[]> => childrenOf(directory);

async function childrenOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    unlessGone(error);
    return [];
  });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function unlessGone(error: unknown): void {
  if (!isGone(error)) throw error;
}

const isGone = (error: unknown): boolean => hasCode(error, ['ENOENT', 'ENODEV']);

const hasCode = (error: unknown, codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));
