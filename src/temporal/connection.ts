import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnection, NativeConnectionOptions } from '@temporalio/worker';
import { temporalEnvironment } from '../config.ts';
import { UserError } from '../domain/user-error.ts';

/** How long a server may take to answer before it counts as unreachable. */
const connectTimeoutMs = 5_000;

/** Where Temporal is, by its own settings. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  options: Pick<NativeConnectionOptions, 'tls' | 'apiKey' | 'metadata'>;
}

/** A client and the connection under it; disposing closes the connection. */
export interface TemporalConnection extends AsyncDisposable {
  client: Client;
  target: TemporalTarget;
}

/**
 * Finds the server by Temporal's own variables and profile file.
 *
 * @param environment Default: what the process has of it. `Config.temporal` where a `.env` file counts too.
 *   With `TEMPORAL_CONFIG_FILE=/dev/null` no profile is read.
 * @throws UserError `InvalidConfiguration` when a profile or a certificate file cannot be read.
 */
export function temporalTarget(environment: Record<string, string> = temporalEnvironment()): TemporalTarget {
  // The library takes a file without profiles for a broken one.
  const disableFile = environment['TEMPORAL_CONFIG_FILE'] === '/dev/null';
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars: environment, disableFile });
    const { address = 'localhost:7233', tls, apiKey, metadata } = connectionOptions;
    return { address, namespace: namespace ?? 'default', options: given({ tls, apiKey, metadata }) };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('InvalidConfiguration', `Temporal's settings cannot be read: ${message}`, {
      try: 'check the TEMPORAL_* variables and the temporal.toml file that TEMPORAL_CONFIG_FILE names',
      cause,
    });
  }
}

/**
 * Connects a client, for starting and watching cells.
 *
 * @throws UserError `TemporalUnreachable` within about five seconds, naming the address.
 */
export async function connectTemporal(target: TemporalTarget = temporalTarget()): Promise<TemporalConnection> {
  const retries = boundedRetries();
  const connection = await reach(target, () =>
    Connection.connect({
      address: target.address,
      ...target.options,
      connectTimeout: connectTimeoutMs,
      interceptors: [makeGrpcRetryInterceptor(retries.options)],
    }),
  );
  return {
    client: new Client({ connection, namespace: target.namespace }),
    target,
    async [Symbol.asyncDispose]() {
      await retries.end();
      await connection.close();
    },
  };
}

/**
 * The library's own retries, with an end: one whose time comes after the connection was closed throws out of its timer,
 * which nobody can catch, and its call never settles. The wait is a few seconds at the very most.
 */
function boundedRetries() {
  const { delayFunction, retryableDecider } = defaultGrpcRetryOptions();
  let ended = false;
  let lastAt = 0;
  const options: ReturnType<typeof defaultGrpcRetryOptions> = {
    retryableDecider: (attempt, status) => !ended && retryableDecider(attempt, status),
    delayFunction(attempt, status) {
      const ms = delayFunction(attempt, status);
      lastAt = Math.max(lastAt, performance.now() + ms);
      return ms;
    },
  };
  return {
    options,
    async end() {
      ended = true;
      const ms = lastAt - performance.now();
      // Timers of a millisecond may come in either order.
      if (ms > 0) await delay(ms + 5);
    },
  };
}

/**
 * Connects as a worker does. The SDK's native part is loaded now and not before.
 *
 * @throws UserError `TemporalUnreachable`, naming the address.
 */
export async function connectWorker(target: TemporalTarget = temporalTarget()): Promise<NativeConnection> {
  // The native connection retries for minutes; the light one answers within seconds whether anybody is there.
  await using _reachable = await connectTemporal(target);
  const worker = await import('@temporalio/worker');
  return await reach(target, () => worker.NativeConnection.connect({ address: target.address, ...target.options }));
}

async function reach<T>(target: TemporalTarget, connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('TemporalUnreachable', `no Temporal server answers at ${target.address} (${message})`, {
      try: 'start one with `cells dev`, or set TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_TLS, TEMPORAL_API_KEY) to yours',
      cause,
    });
  }
}

/** Leaves out what is undefined. */
function given(options: {
  tls: NativeConnectionOptions['tls'] | undefined;
  apiKey: NativeConnectionOptions['apiKey'] | undefined;
  metadata: NativeConnectionOptions['metadata'] | undefined;
}): TemporalTarget['options'] {
  const { tls, apiKey, metadata } = options;
  return {
    ...(tls === undefined ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}
