import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stateDirectoryId } from '../../src/cell/hostlock.ts';
import { cellMarker } from '../../src/domain/names.ts';
import { createProcessRuntime } from '../../src/runtimes/process.ts';
import type { CellRuntime } from '../../src/runtimes/runtime.ts';
import { type SupervisorClient, connectSupervisor } from '../../src/supervisor/client.ts';
import { supervised } from '../../src/supervisor/supervised-runtime.ts';
import { processesMarked } from './processes.ts';
import { runMarker, testRun } from './run.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { waitUntil } from './wait-until.ts';

/** A cell of a supervisor, with nothing in it yet. */
interface SupervisedCell extends AsyncDisposable {
  stateDirectory: string;
  client: SupervisorClient;
  runtime: CellRuntime;
  cellId: string;
  start(script: string): Promise<void>;
  processes(): Promise<number[]>;
}

/** A real supervisor process on a state directory of its own, which ends with the scope. */
export async function supervisedCell(idleMs = 60_000): Promise<SupervisedCell> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const client = stack.use(await connectSupervisor(directory.path, { idleMs }));
  stack.defer(() => endSupervisor(client));
  const runtime = supervised(createProcessRuntime({ owner: await stateDirectoryId(directory.path) }), client);
  const cellId = randomBytes(8).toString('hex');
  const env = { PATH: process.env['PATH'] ?? '', [runMarker]: testRun() };
  const owned = stack.move();
  return {
    stateDirectory: directory.path,
    client,
    runtime,
    cellId,
    async start(script) {
      const logFile = join(directory.path, 'output.log');
      await runtime.start(
        { cellId, command: ['/bin/sh', '-c', script], directory: directory.path, env, logFile },
        new AbortController().signal,
      );
    },
    processes: async () => (await processesMarked(cellMarker, cellId)).map(({ pid }) => pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Ends the supervisor that a client is connected to, if there is one, and waits for its end. */
export async function endSupervisor(client: SupervisorClient): Promise<void> {
  const running = await client.info().catch(() => null);
  await client.stop({ force: true });
  if (running) await hasGone(running.pid);
}

/** Waits for the end of a process. */
export async function hasGone(pid: number): Promise<boolean> {
  const gone = () =>
    stat(`/proc/${pid}`).then(
      () => false,
      () => true,
    );
  await waitUntil(gone);
  return gone();
}
