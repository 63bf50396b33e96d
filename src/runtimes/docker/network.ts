import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { type Engine, unlessAbsent } from './client.ts';
import { networkLabel } from './labels.ts';
import { findService, networkOf } from './services.ts';

/** How a target of `network.allow` stands. */
export interface TargetState {
  /** As a request names it. */
  target: string;
  /** What stands for the name: a container of the project, or what the host knows by it. */
  by: 'service' | 'host' | null;
  address: string | null;
  /** Null when a connection came about. */
  problem: string | null;
}

/** How long a target has to take a connection, milliseconds. */
const connectMs = 3_000;

/** Whether each target can be reached from this host, as the ways out of cells would reach it. */
export async function checkTargets(
  engine: Engine,
  project: string,
  targets: readonly string[],
): Promise<TargetState[]> {
  return await Promise.all(targets.map((target) => checkTarget(engine, project, target)));
}

async function checkTarget(engine: Engine, project: string, target: string): Promise<TargetState> {
  const [host = '', port = ''] = target.split(':');
  const service = await findService(engine, project, host);
  if (service !== null) {
    const { name, address, running } = service;
    const state = { target, by: 'service' as const, address };
    if (!running) return { ...state, problem: `container ${name} does not run` };
    if (address === null) return { ...state, problem: `container ${name} is in no network that this host reaches` };
    return { ...state, problem: await whyNoConnection(address, Number(port)) };
  }
  const address = await lookup(host).then(
    (found) => found.address,
    () => null,
  );
  if (address === null)
    return { target, by: null, address, problem: `neither project ${project} nor this host knows the name ${host}` };
  return { target, by: 'host', address, problem: await whyNoConnection(address, Number(port)) };
}

async function whyNoConnection(host: string, port: number): Promise<string | null> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMs) });
    return null;
  } catch (error) {
    const timedOut = error instanceof Error && error.name === 'AbortError';
    return `${host}:${port} does not take a connection: ${timedOut ? 'no answer' : String(error)}`;
  } finally {
    socket.destroy();
  }
}

/** Whether the network of a project is there. */
export async function hasNetwork(engine: Engine, project: string): Promise<boolean> {
  return (await engine.getNetwork(networkOf(project)).inspect().catch(unlessAbsent)) !== null;
}

/**
 * Makes the network of a project where it is missing, and puts into it the services of these targets that are in none which the host
 * reaches. Idempotent. Answers what was done, a line each.
 */
export async function repairNetwork(engine: Engine, project: string, targets: readonly string[]): Promise<string[]> {
  const done: string[] = [];
  if (!(await hasNetwork(engine, project))) {
    // From an internal one nobody reaches anything but what is in it, and the host.
    const Labels = { [networkLabel]: project };
    await engine.createNetwork({
      Name: networkOf(project),
      Driver: 'bridge',
      Internal: true,
      CheckDuplicate: true,
      Labels,
    });
    done.push(`made the network ${networkOf(project)}`);
  }
  for (const target of targets) {
    const [host = ''] = target.split(':');
    const service = await findService(engine, project, host);
    if (service === null || !service.running || service.address !== null) continue;
    await join(engine, project, service.containerId, host);
    done.push(`connected container ${service.name} to ${networkOf(project)}`);
  }
  return done;
}

async function join(engine: Engine, project: string, containerId: string, alias: string): Promise<void> {
  const { NetworkSettings } = await engine.getContainer(containerId).inspect();
  // Who is in this one can be in no other.
  if ('none' in NetworkSettings.Networks)
    await engine.getNetwork('none').disconnect({ Container: containerId, Force: true });
  await engine.getNetwork(networkOf(project)).connect({ Container: containerId, EndpointConfig: { Aliases: [alias] } });
}
