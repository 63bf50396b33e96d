import { dirname } from 'node:path';
import type { ProviderRoute } from '../gateway/grant.ts';
import type { GatewayAddress } from '../opencode/gateway-config.ts';
import { modelRoutes } from '../opencode/model-routes.ts';
import type { CellHost } from './host.ts';
import type { Lease } from './lease.ts';

/** How the server of a cell reaches its models. */
export interface ModelDoor {
  routes: ProviderRoute[];
  address: GatewayAddress;
}

/**
 * Opens the way of a cell to its models. Until its first step says what it may spend, it may spend nothing.
 * Null on a host whose cells reach their models themselves.
 *
 * @throws NoModelRoute
 */
export async function openModelDoor(
  host: CellHost,
  { cellId, model, tokenBudget }: Pick<Lease, 'cellId' | 'model' | 'tokenBudget'>,
): Promise<ModelDoor | null> {
  if (!host.behindGateway) return null;
  // Without it the server would have neither a door nor a key, and its agent would fail for no reason that it could tell.
  if (host.gateway === null)
    throw new Error('cells are to go through the gateway, and there is no supervisor to hold it');
  const routes = await routesOf(host, model);
  const { loopback } = await host.gateway.open({ cellId, tokenBudget: tokenBudget ?? 0, routes });
  return { routes, address: { url: `http://127.0.0.1:${loopback.port}`, token: loopback.token } };
}

/** @throws NoModelRoute when a cell with this model could not reach it. */
export function routesOf(host: CellHost, model: string): Promise<ProviderRoute[]> {
  const directory = host.opencodeFile === null ? null : dirname(host.opencodeFile);
  return modelRoutes(host.opencode, model, { variables: host.providerEnvironment, directory });
}

/** The keys of providers that servers are started with. One that is booted ahead gets its door when a cell adopts it, by its configuration. */
export const serverKeys = ({ behindGateway, providerEnvironment }: CellHost): Record<string, string> =>
  behindGateway ? {} : { ...providerEnvironment };
