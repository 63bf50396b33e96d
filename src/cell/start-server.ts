import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParsedCellRequest } from '../domain/request.ts';
import { opencodeBinary } from '../opencode/binary.ts';
import { cellConfig } from '../opencode/config.ts';
import { serverEnvironment } from '../opencode/profile.ts';
import { type ServerAddress, proveServer } from '../opencode/server.ts';
import type { RuntimeHandle } from '../runtimes/runtime.ts';
import { findTemplate } from '../templates/load.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { cellPaths } from './paths.ts';

/** The server ended, or never became healthy, or what answers is not ours. */
export class BootFailed extends Error {
  override readonly name = 'BootFailed';
}

export interface ServerStart {
  lease: Lease;
  request: ParsedCellRequest;
  address: ServerAddress;
}

/** From the start of the process to the line that says that it listens, milliseconds. */
const bootLimit = 90_000;
const interval = 100;

/**
 * Starts the OpenCode server of a cell behind the port that is held for it, and waits until it has proved to be ours.
 * The caller ends it when this rejects: the handle was handed to `started` before anything could go wrong.
 */
export async function startServer(
  host: CellHost,
  start: ServerStart,
  started: (handle: RuntimeHandle) => Promise<unknown>,
  signal: AbortSignal,
): Promise<string> {
  const { lease, request, address } = start;
  const { runtime } = host.runtimes[lease.runtime];
  const paths = cellPaths(host.stateDirectory, lease.cellId);
  const template = findTemplate(host.templates, request.agentType);
  const before = (await readLog(paths.serverLog)).length;
  const handle = await runtime.start(
    {
      cellId: lease.cellId,
      // Any port: the one that the cell is known by is held for it, and leads there.
      command: [opencodeBinary, 'serve', '--hostname', '127.0.0.1', '--port', '0', '--print-logs'],
      directory: address.worktree,
      env: serverEnvironment({
        home: paths.home,
        password: address.password,
        config: await cellConfig({
          base: host.opencode,
          model: lease.model,
          agent: template,
          worktree: address.worktree,
          home: paths.home,
        }),
        path: host.path,
        env: request.env,
        providerEnvironment: host.providerEnvironment,
      }),
      logFile: paths.serverLog,
    },
    signal,
  );
  await started(handle);
  const serverPort = await untilListening(
    async () => (await readLog(paths.serverLog)).slice(before),
    async () => (await runtime.inspect(handle)).kind === 'running',
    signal,
  );
  await runtime.relayPort(lease.cellId, serverPort);
  return proveServer(address, signal);
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
  for (;;) {
    const lives = await alive();
    const text = await log();
    const line = /opencode server listening on \S*:(\d+)/.exec(text);
    if (line && lives) return Number(line[1]);
    if (!lives) throw new BootFailed(`the server ended before it listened: ${tail(text)}`);
    if (Date.now() > deadline)
      throw new BootFailed(`the server did not listen within ${bootLimit / 1000} seconds: ${tail(text)}`);
    await sleep(interval, undefined, { signal });
  }
}

const readLog = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');

const tail = (text: string): string => text.trim().slice(-2000) || 'it wrote nothing';
