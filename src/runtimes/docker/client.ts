import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';

/** The engine of this host, by its API. */
export type Engine = Dockerode;

/** An engine that is on another machine, or behind something that is no socket of this one. */
export class EngineElsewhere extends Error {
  override readonly name = 'EngineElsewhere';
}

/**
 * Makes a client of the engine; nothing is asked of it yet. The client library is loaded only here, as most hosts never need it: it
 * takes a process about 30 MB.
 *
 * @param host what `DOCKER_HOST` says: `unix://` and the path of a socket; null for the usual places
 * @param silenceMs a call of an engine that says nothing for so long fails. Default: it waits
 * @throws EngineElsewhere where it names no socket of this machine: such an engine would not see our files
 */
export async function connectEngine(host: string | null, silenceMs?: number): Promise<Engine> {
  const socketPath = await socketOf(host);
  const { default: Client } = await import('dockerode');
  // By itself it would prefer what is in the environment; its types do not know that this can be undone.
  const options = { socketPath, host: undefined, port: undefined, protocol: undefined, timeout: silenceMs };
  return new Client(options as { socketPath: string });
}

/** The same, or null where there is no such socket: then no engine has anything of ours. */
export async function connectEngineIfAny(host: string | null): Promise<Engine | null> {
  try {
    await access(await socketOf(host));
  } catch {
    return null;
  }
  return connectEngine(host);
}

async function socketOf(host: string | null): Promise<string> {
  const scheme = 'unix://';
  if (host?.startsWith(scheme)) return host.slice(scheme.length);
  if (host !== null) throw new EngineElsewhere(`DOCKER_HOST is ${host}, which is no socket of this machine`);
  const ofUser = join(homedir(), '.docker/run/docker.sock');
  return access(ofUser).then(
    () => ofUser,
    () => '/var/run/docker.sock',
  );
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

/** Whether nobody listens where the engine should be. */
export function isUnreachable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code);
}

/** Whether this user may not ask the engine: it has nothing that this user made. That something of it is gone, nobody has seen. */
export function isClosed(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['EACCES', 'EPERM'].includes(code);
}
