import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IsolationName } from '../domain/request.ts';
import { opencodeBinary } from '../opencode/binary.ts';
import { serverEnvironment } from '../opencode/profile.ts';
import { type Confinement, confinedServerPort, type RuntimeHandle } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import { serverKeys } from './model-door.ts';

/** The server ended, or never became healthy, or what answers is not ours. */
export class BootFailed extends Error {
  override readonly name = 'BootFailed';
}

export interface ServerStart {
  runtime: IsolationName;
  /** What the runtime knows the server by. */
  mark: string;
  directory: string;
  home: string;
  configFile: string;
  /** See `CellHost.models`; null for the table that is built into OpenCode. */
  modelsFile: string | null;
  password: string;
  /** For the agent's shell. */
  env: Record<string, string>;
  /** What the server may see, reach and use; null where its runtime does not confine. */
  confinement: Confinement | null;
  logFile: string;
}

/** From the start of the process to the line that says that it listens, milliseconds. */
const bootLimit = 90_000;
/** How often the line is looked for, and how often whether the process lives, milliseconds. */
const interval = { line: 20, life: 200 };
/** How much of a start is read in the log, bytes: it has a few KiB when the server listens. */
const readLimit = 1024 ** 2;

/**
 * Starts an OpenCode server and waits until it listens. Answers the port.
 * The caller ends it when this rejects: the handle was handed to `started` before anything could go wrong.
 */
export async function startServer(
  host: CellHost,
  start: ServerStart,
  started: (handle: RuntimeHandle) => Promise<unknown>,
  signal: AbortSignal,
): Promise<number> {
  const { runtime } = host.runtimes[start.runtime];
  const port = start.confinement === null ? 0 : confinedServerPort;
  // The log has all servers of the cell, and what its agent wrote into it.
  const before = await sizeOf(start.logFile);
  const handle = await runtime.start(
    {
      cellId: start.mark,
      // Any port, where it shares those of the host: the one that the cell is known by is held for it, and leads there.
      command: [opencodeBinary, 'serve', '--hostname', '127.0.0.1', '--port', String(port), '--print-logs'],
      directory: start.directory,
      env: serverEnvironment({
        home: start.home,
        password: start.password,
        configFile: start.configFile,
        modelsFile: start.modelsFile,
        path: host.path,
        env: start.env,
        providerEnvironment: serverKeys(host, start.runtime),
      }),
      logFile: start.logFile,
      ...(start.confinement === null ? {} : { confinement: start.confinement }),
    },
    signal,
  );
  await started(handle);
  return await untilListening(
    () => readLog(start.logFile, before),
    async () => (await runtime.inspect(handle)).kind === 'running',
    signal,
  );
}

/**
 * The port accepts connections before the server answers them, and what is asked in between is never answered:
 * so its own line in its own log is waited for. Answers the port that the line names.
 */
async function untilListening(
  log: () => Promise<string>,
  alive: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<number> {
  const deadline = Date.now() + bootLimit;
  for (let lookAt = 0; ;) {
    const look = Date.now() >= lookAt;
    const lives = !look || (await alive());
    if (look) lookAt = Date.now() + interval.life;
    const text = await log();
    const line = /opencode server listening on \S*:(\d+)/.exec(text);
    if (line && lives) return Number(line[1]);
    if (!lives) throw new BootFailed(`the server ended before it listened: ${tail(text)}`);
    if (Date.now() > deadline)
      throw new BootFailed(`the server did not listen within ${bootLimit / 1000} seconds: ${tail(text)}`);
    await sleep(interval.line, undefined, { signal });
  }
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

const readLog = (file: string, start: number): Promise<string> =>
  textOf(createReadStream(file, { start, end: start + readLimit - 1 })).catch(() => '');

const tail = (text: string): string => text.trim().slice(-2000) || 'it wrote nothing';
