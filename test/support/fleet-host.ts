import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import waitFor from 'p-wait-for';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A host of a fleet: a state directory, and the worker process on it. */
export interface FleetHost {
  hostId: string;
  stateDirectory: string;
  metricsUrl: string;
  /** The environment of the worker, for commands that are to see the same host. */
  env: Record<string, string>;
  /** The worker's process, while one runs. */
  worker: WorkerProcess;
  /** Starts another worker process on the same state directory, after the first was ended; with flags of `cells worker`. */
  startWorker(...flags: string[]): Promise<WorkerProcess>;
}

interface WorkerProcess {
  pid: number;
  metricsUrl: string;
  /** Everything that it has written so far. */
  log(): string;
  /** Sends a signal, and does not wait for what it does. */
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal and waits for the end. Answers the exit code, null when the signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Describes a host by the environment of its worker; the worker is yet to be started.
 *
 * @param detached puts the worker into a session of its own
 */
export function describeHost(env: Record<string, string>, detached: boolean): FleetHost {
  const host: FleetHost = {
    hostId: env['CELLS_HOST_ID'] ?? '',
    stateDirectory: env['CELLS_STATE_DIR'] ?? '',
    metricsUrl: '',
    env,
    worker: { pid: 0, metricsUrl: '', log: () => '', signal: () => undefined, end: () => Promise.resolve(null) },
    async startWorker(...flags) {
      host.worker = await startWorker(env, detached, flags);
      host.metricsUrl = host.worker.metricsUrl;
      return host.worker;
    },
  };
  return host;
}

async function startWorker(
  env: Record<string, string>,
  detached: boolean,
  flags: readonly string[],
): Promise<WorkerProcess> {
  const child = execa(process.execPath, [join(root, 'src/cli/main.ts'), 'worker', ...flags], {
    cwd: root,
    env,
    extendEnv: false,
    stdin: 'ignore',
    all: true,
    reject: false,
    cleanup: true,
    detached,
    // A worker that is busy takes its time to hand its cells back.
    forceKillAfterDelay: false,
  });
  let log = '';
  child.all.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const exited = once(child, 'exit');
  const metricsUrl = () => /"metricsUrl":"([^"]+)"/.exec(log)?.[1];
  await waitFor(() => metricsUrl() !== undefined || child.exitCode !== null, { interval: 50, timeout: 240_000 });
  const url = metricsUrl();
  if (url === undefined) throw new Error(`the worker ended before it was ready:\n${log}`);
  return {
    pid: child.pid ?? 0,
    metricsUrl: url,
    log: () => log,
    signal: (signal) => void child.kill(signal),
    async end(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await exited;
      }
      return child.exitCode;
    },
  };
}
