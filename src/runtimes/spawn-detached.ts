import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Writable } from 'node:stream';
import which from 'which';
import { enterGroup } from './cgroup.ts';
import type { Launch } from './launch.ts';
import { type ProcessIdentity, startTimeOf } from './processes.ts';
import type { ProcessSpec } from './runtime.ts';

/** A child, and what identifies it once it is no longer our child. */
export interface DetachedProcess {
  child: ChildProcess;
  identity: ProcessIdentity;
  /** Null when a signal ended it. */
  exit: Promise<number | null>;
}

/**
 * Starts a command as the leader of a session of its own, its output going to the descriptor `output`. No shell reads its words.
 *
 * @param spec what the caller asked for, in whose words an error is told
 * @param signal nothing is started after it has aborted
 * @throws when it cannot be started; the message says what is missing
 */
export async function spawnDetached(
  spec: ProcessSpec,
  launch: Launch,
  env: Record<string, string>,
  output: number,
  signal: AbortSignal,
): Promise<DetachedProcess> {
  const { command, directory, groups, inputs } = launch;
  try {
    if (command !== spec.command || groups.length > 0) {
      await access(spec.directory);
      await findProgram(spec, env);
    }
    const [program, ...parameters] = groups.reduce((words, group) => enterGroup(group, words, env), command);
    // Who aborts looks for what was started before, and finds nothing that starts after it has looked.
    signal.throwIfAborted();
    const child = spawn(program, parameters, {
      cwd: directory,
      env,
      detached: true,
      stdio: ['ignore', output, output, ...inputs.map(() => 'pipe' as const)],
    });
    // In the turn of the event loop that spawned it: Node cannot have reaped it yet, so its number is still its own.
    const startTime = child.pid === undefined ? null : startTimeOf(child.pid);
    if (child.pid !== undefined && startTime === null) endUnknown(child.pid);
    const exit = exitOf(child);
    // Heard from now on: an error that nobody hears would end this process, and all cells with it.
    const spawned = once(child, 'spawn');
    spawned.catch(() => undefined);
    // Without a free descriptor there are no pipes.
    const pipes: readonly unknown[] = child.stdio ?? [];
    for (const [index, input] of inputs.entries()) write(pipes[index + 3], input);
    await spawned;
    if (child.pid === undefined || startTime === null) throw new Error('it does not appear in /proc');
    return { child, identity: { pid: child.pid, startTime }, exit };
  } catch (error) {
    signal.throwIfAborted();
    const why = await reasonOf(error, spec);
    throw new Error(`cannot start ${spec.command[0]} for cell ${spec.cellId}: ${why}`, { cause: error });
  }
}

/** What cannot be looked up, for want of a descriptor say, nobody could find again: it is ended with its session, in the same turn. */
function endUnknown(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** One that ends before it has read all says why by its exit. */
function write(stream: unknown, input: string | Uint8Array): void {
  if (!(stream instanceof Writable)) return;
  stream.on('error', () => undefined);
  stream.end(input);
}

/** What starts the program could say only in its output that there is none. */
export async function findProgram(
  { command: [program], directory }: ProcessSpec,
  env: Record<string, string>,
): Promise<void> {
  if (program.includes('/')) await access(resolve(directory, program), constants.X_OK);
  else await which(program, { path: env['PATH'] ?? '/usr/bin:/bin' });
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
}

/** Node reports a missing directory as a missing program. */
export async function reasonOf(error: unknown, spec: ProcessSpec): Promise<string> {
  const directory = await stat(spec.directory).catch(() => null);
  if (directory === null) return `its directory ${spec.directory} does not exist`;
  if (!directory.isDirectory()) return `${spec.directory} is not a directory`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such program on the PATH of its environment';
  if (code === 'EACCES') return 'it may not be executed';
  return error instanceof Error ? error.message : String(error);
}
