import { HostLocked } from '../cell/hostlock.ts';
import type { Config } from '../config.ts';
import { UserError } from '../domain/user-error.ts';
import { createLogger, type Logger } from '../telemetry/log.ts';

/** The log of a worker: on standard error, with the host's secrets hidden. */
export function hostLog({ logLevel, logFormat, providerEnvironment, temporal }: Config): Logger {
  const secrets = [...Object.values(providerEnvironment), temporal['TEMPORAL_API_KEY'] ?? ''];
  return createLogger({ level: logLevel, format: logFormat, secrets });
}

/** Runs what needs the state directory for itself, and says what to do when another worker has it. */
export async function alone<T>(stateDirectory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HostLocked)) throw error;
    throw new UserError('InvalidConfiguration', `another worker runs on ${stateDirectory}`, {
      try: 'end that one first, or give this one its own CELLS_STATE_DIR and CELLS_HOST_ID; a running worker reaps by itself, every minute',
      cause: error,
    });
  }
}
