import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import { claimTaskQueue, workflowTaskQueue } from '../../src/domain/names.ts';

export interface WorkerStart {
  /** Where it runs and writes its log. */
  directory: string;
  logFile: string;
  env: Record<string, string>;
  client: Client;
  signal: AbortSignal;
}

/** The worker of the demo, in a process of its own, as on a real host: its log stays apart from the progress. */
export interface WorkerProcess extends AsyncDisposable {
  pid(): number;
  /** Ends it with SIGKILL. Answers its process id. */
  kill(): Promise<number>;
  /** Starts the next one, and waits until it serves. */
  restart(): Promise<void>;
}

/** Answers when it serves. Disposing ends it in order. */
export async function startWorkerProcess(start: WorkerStart): Promise<WorkerProcess> {
  let worker = launch(start);
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    worker.kill(signal);
    await worker;
    return worker.pid ?? 0;
  };
  try {
    await untilItServes(worker, start);
  } catch (error) {
    await end('SIGTERM');
    throw error;
  }
  return {
    pid: () => worker.pid ?? 0,
    kill: () => end('SIGKILL'),
    async restart() {
      worker = launch(start);
      await untilItServes(worker, start);
    },
    [Symbol.asyncDispose]: async () => void (await end('SIGTERM')),
  };
}

function launch({ directory, logFile, env }: WorkerStart) {
  const log = { file: logFile, append: true } as const;
  return execa(process.execPath, [join(import.meta.dirname, 'worker.ts')], {
    cwd: directory,
    env,
    // Of its own group: Ctrl-C in the terminal reaches the demo alone, which then ends the worker in order.
    detached: true,
    // A pipe that we hold open: by its end the worker knows of ours.
    stdin: 'pipe',
    stdout: log,
    stderr: log,
    reject: false,
    forceKillAfterDelay: 60_000,
  });
}

async function untilItServes(
  worker: ReturnType<typeof launch>,
  { logFile, client, signal }: WorkerStart,
): Promise<void> {
  let ended: string | null = null;
  void worker.then(({ exitCode, shortMessage }) => (ended = shortMessage ?? `exit code ${exitCode}`));
  const pid = worker.pid ?? 0;
  const ready = async () => {
    if (ended !== null) throw new Error(`the worker ended before it was ready (${ended}); see ${logFile}`);
    return (await polls(client, workflowTaskQueue, 1, pid)) && (await polls(client, claimTaskQueue, 2, pid));
  };
  await waitFor(ready, { interval: 300, timeout: 300_000, signal });
}

/**
 * `type` is the server's number: 1 for workflows, 2 for activities. A worker that was killed stays listed for a while, under its
 * own process id. A server that is too busy to answer is asked again.
 */
async function polls(client: Client, name: string, type: 1 | 2, pid: number): Promise<boolean> {
  const { namespace } = client.options;
  const queue = { namespace, taskQueue: { name }, taskQueueType: type };
  const answer = await client.workflowService.describeTaskQueue(queue).catch(() => null);
  return (answer?.pollers ?? []).some(({ identity }) => identity?.endsWith(`/${pid}`));
}
