import * as v from 'valibot';
import type { ProviderRoute } from '../gateway/grant.ts';
import type { BaseConfig } from './config.ts';

/** How a cell reaches its gateway. */
export interface GatewayAddress {
  /** Without a path, such as `http://127.0.0.1:8080`. */
  url: string;
  /** Given to the gateway in place of a key; it is worth nothing anywhere else. */
  token: string;
}

/** Options of a provider that are the gateway's to know, or that would lead past it. */
const ofTheGateway = new Set([
  'apiKey',
  'authToken',
  'baseURL',
  'fetch',
  'headers',
  'organization',
  'project',
  'timeout',
]);

/** The gateway notices a provider that is silent within an answer before this, milliseconds. */
const chunkTimeout = 180_000;

const record = v.record(v.string(), v.unknown());

/**
 * The providers of a cell's configuration, each behind the gateway: no key, no address, and none but those that the cell has routes to.
 * The head of an answer may take as long as the gateway holds the request back.
 */
export function providersBehindGateway(
  base: BaseConfig,
  routes: readonly ProviderRoute[],
  gateway: GatewayAddress,
): Pick<BaseConfig, 'provider'> & { enabled_providers: string[] } {
  const entries = routes.map(({ provider }) => {
    const { options, api: _, env: __, models, ...entry } = base.provider?.[provider] ?? {};
    const kept = Object.entries(v.is(record, options) ? options : {}).filter(([name]) => !ofTheGateway.has(name));
    return [
      provider,
      {
        ...entry,
        ...(v.is(record, models) ? { models: withoutOwnWays(models) } : {}),
        options: {
          ...Object.fromEntries(kept),
          baseURL: `${gateway.url}/${provider}/v1`,
          apiKey: gateway.token,
          headerTimeout: false,
          chunkTimeout,
        },
      },
    ] as const;
  });
  return { provider: Object.fromEntries(entries), enabled_providers: routes.map(({ provider }) => provider) };
}

/** A model that the cell may not ask for can have an address and credentials of its own. */
function withoutOwnWays(models: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(models).map(([name, model]) => {
      if (!v.is(record, model)) return [name, model];
      const { headers: _, provider: __, ...rest } = model;
      return [name, rest];
    }),
  );
}
