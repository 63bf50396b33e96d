import type Dockerode from 'dockerode';

/** The engine of this host, by its API. */
export type Engine = Dockerode;

/** An engine that is on another machine, or behind something that is no socket of this one. */
export class EngineElsewhere extends Error {
  override readonly name = 'EngineElsewhere';
}

/**
 * Makes a client of the engine; nothing is asked of it yet. The client library is loaded only here, as most hosts never need it: it
 * takes the supervisor about 30 MB.
 *
 * @param socketPath the engine's socket. Default: what `DOCKER_HOST` says, else the usual place
 * @throws EngineElsewhere where `DOCKER_HOST` names no socket of this machine: its containers would not see our files
 */
export async function connectEngine(socketPath?: string): Promise<Engine> {
  const { default: Client } = await import('dockerode');
  const engine = new Client(socketPath === undefined ? {} : { socketPath });
  // Its types leave the client's place out.
  const { host } = engine.modem as { host?: string };
  if (host !== undefined) throw new EngineElsewhere(`DOCKER_HOST names the machine ${host}, and no socket of this one`);
  return engine;
}

/** What a call of the engine failed with: HTTP's number, or null where the engine did not answer. */
export function statusOf(error: unknown): number | null {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' ? status : null;
}

/** Null for what is not there (any more); what else goes wrong is thrown. */
export function unlessAbsent(error: unknown): null {
  if (statusOf(error) !== 404) throw error;
  return null;
}
