import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import which from 'which';
import { enterGroup } from './cgroup.ts';
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
 * @param group the directory of the control group that it is to be in; null for none
 * @throws when it cannot be started; the message says what is missing
 */
export async function spawnDetached(
  spec: ProcessSpec,
  env: Record<string, string>,
  output: number,
  group: string | null,
): Promise<DetachedProcess> {
  try {
    if (group !== null) await findProgram(spec, env);
    const [program, ...parameters] = group === null ? spec.command : enterGroup(group, spec.command, env);
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
    throw new Error(`cannot start ${spec.command[0]} for cell ${spec.cellId}: ${why}`, { cause: error });
  }
}

/** Whoever enters a group first could say so only in its output. */
async function findProgram({ command: [program], directory }: ProcessSpec, env: Record<string, string>): Promise<void> {
  if (program.includes('/')) await access(resolve(directory, program), constants.X_OK);
  else await which(program, { path: env['PATH'] ?? '/usr/bin:/bin' });
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
