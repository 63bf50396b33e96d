import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
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
 * Starts a command as the leader of a session of its own, without a shell, its output going to the descriptor `output`.
 *
 * @throws when it cannot be started; the message says what is missing
 */
export async function spawnDetached(
  spec: ProcessSpec,
  env: Record<string, string>,
  output: number,
): Promise<DetachedProcess> {
  const [program, ...parameters] = spec.command;
  try {
    const child = spawn(program, parameters, {
      cwd: spec.directory,
      env,
      detached: true,
      stdio: ['ignore', output, output],
    });
    // In the turn of the event loop that spawned it: Node cannot have reaped it yet, so its number is still its own.
    const startTime = child.pid === undefined ? null : startTimeOf(child.pid);
    const exit = exitOf(child);
    await once(child, 'spawn');
    if (child.pid === undefined || startTime === null) throw new Error('it does not appear in /proc');
    return { child, identity: { pid: child.pid, startTime }, exit };
  } catch (error) {
    const why = await reasonOf(error, spec);
    throw new Error(`cannot start ${program} for cell ${spec.cellId}: ${why}`, { cause: error });
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
}

/** Node reports a missing directory as a missing program. */
async function reasonOf(error: unknown, spec: ProcessSpec): Promise<string> {
  const directory = await stat(spec.directory).catch(() => null);
  if (directory === null) return `its directory ${spec.directory} does not exist`;
  if (!directory.isDirectory()) return `${spec.directory} is not a directory`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such program on the PATH of its environment';
  if (code === 'EACCES') return 'it may not be executed';
  return error instanceof Error ? error.message : String(error);
}
