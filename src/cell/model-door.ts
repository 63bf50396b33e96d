import { dirname } from 'node:path';
import type { IsolationName } from '../domain/request.ts';
import type { DoorPlan, ProviderRoute } from '../gateway/grant.ts';
import type { GatewayAddress } from '../opencode/gateway-config.ts';
import { modelRoutes } from '../opencode/model-routes.ts';
import { cellUser } from '../runtimes/cell-user.ts';
import { modelPort } from '../runtimes/runtime.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';
import { serverPlace } from './server-place.ts';

/** How the server of a cell reaches its models. */
export interface ModelDoor {
  routes: ProviderRoute[];
  address: GatewayAddress;
}

/** Inside of a cell that is confined the way ends at its own socket, and no token is asked for; clients want one all the same. */
const confinedAddress: GatewayAddress = { url: `http://127.0.0.1:${modelPort}`, token: 'not-asked-for' };

/**
 * Opens the way of a cell to its models: its own socket where it is confined, else a port of loopback. Until its first step says what
 * it may spend, it may spend nothing. Null where cells reach their models themselves.
 *
 * @throws NoModelRoute
 */
export async function openModelDoor(
  host: CellHost,
  { cellId, model, runtime, tokenBudget }: Pick<Lease, 'cellId' | 'model' | 'runtime' | 'tokenBudget'>,
): Promise<ModelDoor | null> {
  if (!goesThroughGateway(host, runtime)) return null;
  // Without it the server would have neither a door nor a key, and its agent would fail for no reason that it could tell.
  if (host.gateway === null) throw new Error('cells go through the gateway, and nobody holds it');
  const routes = await routesOf(host, model);
  const plan = await planOf(host, cellId, runtime);
  const door = await host.gateway.open({ cellId, door: plan, tokenBudget: tokenBudget ?? 0, routes });
  const address =
    door.kind === 'socket' ? confinedAddress : { url: `http://127.0.0.1:${door.port}`, token: door.token };
  return { routes, address };
}

async function planOf(host: CellHost, cellId: string, runtime: IsolationName): Promise<DoorPlan> {
  if (!host.runtimes[runtime].runtime.confines) return { kind: 'loopback' };
  const { mark, modelSocket } = await serverPlace(host.stateDirectory, cellId);
  const uid = cellUser(mark);
  return { kind: 'socket', path: modelSocket, ...(uid === null ? {} : { uid }) };
}

/** Whether the cells of a runtime reach their models through the gateway, and have no keys. */
export const goesThroughGateway = (
  { runtimes, behindGateway }: Pick<CellHost, 'runtimes' | 'behindGateway'>,
  runtime: IsolationName,
): boolean => behindGateway || runtimes[runtime].runtime.confines;

/** @throws NoModelRoute when a cell with this model could not reach it. */
export function routesOf(
  host: Pick<CellHost, 'opencode' | 'opencodeFile' | 'providerEnvironment'>,
  model: string,
): Promise<ProviderRoute[]> {
  const directory = host.opencodeFile === null ? null : dirname(host.opencodeFile);
  return modelRoutes(host.opencode, model, { variables: host.providerEnvironment, directory });
}

/**
 * The keys of providers that servers of a runtime are started with. One that is booted ahead gets its door when a cell adopts it, by
 * its configuration.
 */
export const serverKeys = (host: CellHost, runtime: IsolationName): Record<string, string> =>
  goesThroughGateway(host, runtime) ? {} : { ...host.providerEnvironment };
