import { UserError } from '../domain/user-error.ts';
import { connectEngine, type Engine } from '../runtimes/docker/client.ts';
import type { Cli } from './cli.ts';

/** The Docker engine of this host. @throws UserError where none answers */
export async function answeringEngine(cli: Cli): Promise<Engine> {
  try {
    const engine = await connectEngine(cli.config().docker.host);
    await engine.ping();
    return engine;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('InvalidConfiguration', `no Docker engine can be asked: ${why}`, {
      try: 'start it, let this user use its socket, or set DOCKER_HOST to another socket of this machine',
      cause,
    });
  }
}
