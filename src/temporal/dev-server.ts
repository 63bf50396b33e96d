import { readFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import getPort from 'get-port';
import which from 'which';
import { UserError } from '../domain/user-error.ts';
import { waitUntilServing } from './dev-server-ready.ts';
import { superviseServer } from './dev-server-process.ts';

export interface DevServerOptions {
  /** The Temporal CLI, from `findTemporal`. */
  binary: string;
  /** Of the frontend. Default: 7233, or any free port where that is taken; 0 for any free port. */
  port?: number;
  /** Of the Web UI. Default: the frontend's port plus 1000, or any free port where that is taken. */
  uiPort?: number;
  /** Keeps everything over restarts. Default: all is lost when the server ends. */
  databaseFile?: string;
  /** Made when it does not exist. Default: `default`. */
  namespace?: string;
  /** What the server prints is added to it; its directory is made. */
  logFile: string;
  searchAttributes: readonly SearchAttribute[];
  /** Aborting stops the server, also later. */
  signal: AbortSignal;
}

/** `type` is Temporal's word for it, such as `Keyword` or `Int`. */
export interface SearchAttribute {
  name: string;
  type: string;
}

/** A running server; disposing it stops it and waits for its end. */
export interface DevServer extends AsyncDisposable {
  /** `127.0.0.1:<port>`, as `TEMPORAL_ADDRESS` takes it. */
  address: string;
  /** Of the Web UI, with `http://`. */
  uiAddress: string;
  pid: number;
  /** Settles when the server has ended, by whatever cause. */
  exited: Promise<void>;
}

const attempts = 3;

/**
 * Starts `temporal server start-dev` on loopback and waits until it serves its namespace with the search attributes.
 *
 * It ends when it is disposed, when the signal aborts, and with this process: at a normal exit by an exit hook; at a kill by the
 * kernel, where `setpriv` is there to ask for that (Linux). It runs in a session of its own, so that Ctrl-C in a terminal reaches this
 * process alone, which still needs the server to end its cells.
 *
 * @throws UserError `TemporalUnreachable` when the server ends early or does not serve within a minute, with the end of its log.
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  for (let attempt = 1; ; attempt += 1) {
    options.signal.throwIfAborted();
    try {
      return await start(options, await chosenPorts(options));
    } catch (error) {
      // A port is proposed before it is bound: somebody else may have taken it in between.
      if (attempt === attempts || !String(error).includes('address already in use')) throw error;
    }
  }
}

interface Ports {
  frontend: number;
  ui: number;
}

async function chosenPorts({ port = 7233, uiPort }: DevServerOptions): Promise<Ports> {
  const host = '127.0.0.1';
  const frontend = await getPort(port === 0 ? { host } : { host, port });
  const preferredUi = uiPort ?? (port === 0 ? 0 : frontend + 1000);
  const exclude = [frontend];
  return { frontend, ui: await getPort(preferredUi === 0 ? { host, exclude } : { host, exclude, port: preferredUi }) };
}

async function start(options: DevServerOptions, ports: Ports): Promise<DevServer> {
  const { logFile, namespace = 'default', searchAttributes, signal } = options;
  await mkdir(dirname(logFile), { recursive: true });
  await using log = await open(logFile, 'a');
  const command = [...(await endWithParent()), options.binary, ...serverArguments(options, ports)];
  const server = superviseServer(command, log.fd, signal);
  const address = `127.0.0.1:${ports.frontend}`;
  const failed = new AbortController();
  try {
    await Promise.race([
      waitUntilServing({ address, namespace, searchAttributes }, AbortSignal.any([signal, failed.signal])),
      server.exited.then((how) => {
        throw new Error(`the Temporal server ended before it served (${how})`);
      }),
    ]);
  } catch (error) {
    await server.stop();
    signal.throwIfAborted();
    throw notServing(error, options);
  } finally {
    failed.abort();
  }
  return {
    address,
    uiAddress: `http://127.0.0.1:${ports.ui}`,
    pid: server.pid,
    exited: server.exited.then(() => undefined),
    [Symbol.asyncDispose]: server.stop,
  };
}

function notServing(cause: unknown, { logFile, databaseFile }: DevServerOptions): UserError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const file = databaseFile === undefined ? '' : `, and whether ${databaseFile} can be made and written`;
  return new UserError('TemporalUnreachable', `${why}; ${logFile} ends with:\n${tailOf(logFile)}`, {
    try: `see what the log says${file}`,
    cause,
  });
}

function serverArguments({ databaseFile, namespace, searchAttributes }: DevServerOptions, ports: Ports): string[] {
  const command = `server start-dev --ip 127.0.0.1 --port ${ports.frontend} --ui-ip 127.0.0.1 --ui-port ${ports.ui}`;
  return [
    ...`${command} --log-level warn --log-format pretty`.split(' '),
    ...(namespace === undefined ? [] : ['--namespace', namespace]),
    ...(databaseFile === undefined ? [] : ['--db-filename', databaseFile]),
    ...dynamicConfig.flatMap((value) => ['--dynamic-config-value', value]),
    ...searchAttributes.flatMap(({ name, type }) => ['--search-attribute', `${name}=${type}`]),
  ];
}

/** Order by priority and fairness, which this version of the server has switched off; and one partition of each queue, for the order is kept in each by itself. */
const dynamicConfig = [
  'matching.useNewMatcher=true',
  'matching.enableFairness=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
];

/** The words before the server's command that have the kernel end it with its parent; none where that cannot be had. */
async function endWithParent(): Promise<string[]> {
  if (process.platform !== 'linux') return [];
  const setpriv = await which('setpriv', { nothrow: true });
  if (setpriv === null) return [];
  const { stdout } = await execa(setpriv, ['--help'], { reject: false });
  return stdout.includes('--pdeathsig') ? [setpriv, '--pdeathsig', 'TERM'] : [];
}

const tailOf = (file: string): string => readFileSync(file, 'utf8').trimEnd().split('\n').slice(-10).join('\n');
