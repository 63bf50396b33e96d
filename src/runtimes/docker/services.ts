import type { LookupFunction } from 'node:net';
import { lookup as lookUp } from 'node:dns';
import type Dockerode from 'dockerode';
import { connectEngineIfAny, type Engine } from './client.ts';

/** What Docker Compose calls a service in the labels of its containers. */
const serviceLabel = 'com.docker.compose.service';
const projectLabel = 'com.docker.compose.project';

/** A container that stands for a name, and where the host reaches it. */
export interface Service {
  containerId: string;
  /** Of the container. */
  name: string;
  running: boolean;
  /** Null while it is in no network that the host reaches. */
  address: string | null;
  network: string | null;
}

/** The name of the network in which the services of a project can be reached that are in none of their own. */
export const networkOf = (project: string): string => `${project}_cells`;

/**
 * The service of this name in a project: a container of Docker Compose, or one of that name in the project's network. Null where there
 * is none. Of several the one that can be reached comes first.
 */
export async function findService(engine: Engine, project: string, name: string): Promise<Service | null> {
  const label = [`${projectLabel}=${project}`, `${serviceLabel}=${name}`];
  const [composed, joined] = await Promise.all([
    engine.listContainers({ all: true, filters: { label } }),
    engine.listContainers({ all: true, filters: { network: [networkOf(project)] } }),
  ]);
  const named = joined.filter(({ Names }) => Names.includes(`/${name}`));
  const services = [...composed, ...named].map(serviceOf);
  return services.find(({ running, address }) => running && address !== null) ?? services[0] ?? null;
}

function serviceOf({ Id, Names, State, NetworkSettings }: Dockerode.ContainerInfo): Service {
  const networks = Object.entries(NetworkSettings?.Networks ?? {});
  const reached = networks.find(([, { IPAddress }]) => IPAddress !== '');
  return {
    containerId: Id,
    name: (Names[0] ?? Id).replace(/^\//, ''),
    running: State === 'running',
    address: reached?.[1].IPAddress ?? null,
    network: reached?.[0] ?? null,
  };
}

/** Looks a name up among the services of a project, and then as the host does: for the ways out of cells, with each connection. */
export function lookUpServices({ host, project }: { host: string | null; project: string }): LookupFunction {
  return (name, options, callback) => {
    void addressOf(host, project, name).then((address) => {
      if (address === null) lookUp(name, options, callback);
      else if (options.all) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    });
  };
}

/** Null for whatever goes wrong too: then the host's own names are asked. */
async function addressOf(host: string | null, project: string, name: string): Promise<string | null> {
  try {
    const engine = await connectEngineIfAny(host);
    const service = engine === null ? null : await findService(engine, project, name);
    return service?.running ? service.address : null;
  } catch {
    return null;
  }
}
