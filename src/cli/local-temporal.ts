import { requiredSearchAttributes } from '../domain/search-attributes.ts';
import { startDevServer } from '../temporal/dev-server.ts';
import { findTemporal } from '../temporal/find-temporal.ts';

export interface LocalTemporalOptions {
  /** `TEMPORAL_*` variables. With an address in them nothing is started. */
  environment: Record<string, string>;
  /** 0 for any free one. Default 7233, or any free one where that is taken. */
  port?: number;
  /** Keeps everything over restarts. */
  databaseFile?: string;
  logFile: string;
  onStep: (line: string) => void;
  signal: AbortSignal;
}

/** A Temporal server for this machine. Disposing stops it when it is ours. */
export interface LocalTemporal extends AsyncDisposable {
  /** What a client and a worker need to find it: `TEMPORAL_*` variables. */
  environment: Record<string, string>;
  address: string;
  /** Whether it was started here, and ends when this is disposed. */
  ours: boolean;
  /** Null when the server was given: then its Web UI is wherever its operator put it. */
  uiAddress: string | null;
  /** Settles when a server of ours has ended. */
  exited: Promise<void>;
}

/** The server that is given, or else a dev server with the search attributes of cells. */
export async function openLocalTemporal(options: LocalTemporalOptions): Promise<LocalTemporal> {
  const { environment, onStep, signal } = options;
  const found = await findTemporal({ address: environment['TEMPORAL_ADDRESS'], onStep, signal });
  if (found.kind === 'address') {
    const { address } = found;
    return {
      environment,
      address,
      ours: false,
      uiAddress: null,
      exited: new Promise(() => {}),
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const { port, databaseFile, logFile } = options;
  const server = await untilServing(signal, (starting) =>
    startDevServer({
      binary: found.path,
      logFile,
      searchAttributes: requiredSearchAttributes,
      signal: starting,
      ...(port === undefined ? {} : { port }),
      ...(databaseFile === undefined ? {} : { databaseFile }),
    }),
  );
  return {
    // Profiles and keys of the user belong to another server than ours.
    environment: { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'default', TEMPORAL_CONFIG_FILE: '/dev/null' },
    address: server.address,
    ours: true,
    uiAddress: server.uiAddress,
    exited: server.exited,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/**
 * Ends the server with the command while it starts, and never after that: it is the last to go then, for the signal that ends the
 * command must not take it from under the worker that drains.
 */
async function untilServing<T>(signal: AbortSignal, start: (starting: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const starting = new AbortController();
  const abort = () => starting.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await start(starting.signal);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The page of a workflow in the Web UI. */
export function workflowPage(
  uiAddress: string,
  workflow: { namespace: string; workflowId: string; runId: string },
): string {
  const part = encodeURIComponent;
  return `${uiAddress}/namespaces/${part(workflow.namespace)}/workflows/${part(workflow.workflowId)}/${part(workflow.runId)}`;
}
