import { spawn } from 'node:child_process';

const killAfterMs = 5_000;

export interface ServerProcess {
  /** 0 when it could not be started; `exited` says why. */
  pid: number;
  /** Settles with how it ended, in words; also when it could not be started. Never rejects. */
  exited: Promise<string>;
  /** SIGTERM, then SIGKILL when it is still there after five seconds; already gone is success. */
  stop: () => Promise<void>;
}

/**
 * Starts a detached process that is stopped when the signal aborts and when this process exits.
 *
 * @param output a file descriptor, handed over as it is: what the server says last is kept even when this process is gone.
 */
export function superviseServer(
  [program = '', ...rest]: readonly string[],
  output: number,
  signal: AbortSignal,
): ServerProcess {
  const child = spawn(program, rest, { stdio: ['ignore', output, output], detached: true });
  const terminate = () => void child.kill('SIGTERM');
  process.once('exit', terminate);
  signal.addEventListener('abort', terminate, { once: true });
  const { promise: exited, resolve } = Promise.withResolvers<string>();
  child.once('error', (error) => resolve(error.message));
  child.once('exit', (code, killedBy) => resolve(code === null ? `killed by ${killedBy}` : `exit code ${code}`));
  void exited.then(() => {
    process.off('exit', terminate);
    signal.removeEventListener('abort', terminate);
  });
  const stop = async () => {
    terminate();
    const kill = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    await exited;
    clearTimeout(kill);
  };
  return { pid: child.pid ?? 0, exited, stop };
}
