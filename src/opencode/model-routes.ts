import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import type { ModelPrice, ProviderRoute } from '../gateway/grant.ts';
import type { BaseConfig } from './config.ts';
import { knownClients, knownProviders, mistral } from './known-providers.ts';

/** A model that a cell would use cannot be reached through the gateway. */
export class NoModelRoute extends Error {
  override readonly name = 'NoModelRoute';
}

/** Where the providers' keys come from. */
export interface KeySource {
  /** The providers' own variables. */
  variables: Readonly<Record<string, string>>;
  /** Where a `{file:…}` of the configuration is looked for; null when there is no configuration. */
  directory: string | null;
}

const strings = v.record(v.string(), v.string());
const amount = v.pipe(v.number(), v.minValue(0));

const entrySchema = v.object({
  npm: v.optional(v.string()),
  api: v.optional(v.string()),
  env: v.optional(v.array(v.string())),
  options: v.optional(
    v.object({ baseURL: v.optional(v.string()), apiKey: v.optional(v.string()), headers: v.optional(strings) }),
  ),
  models: v.optional(
    v.record(v.string(), v.looseObject({ id: v.optional(v.string()), cost: v.optional(v.unknown()) })),
  ),
});

type ProviderEntry = v.InferOutput<typeof entrySchema>;

const costSchema = v.object({
  input: amount,
  output: amount,
  cache_read: v.optional(amount, 0),
  cache_write: v.optional(amount, 0),
});

/**
 * The routes to the models that a cell may use: its own, the small one, and those that the operator names for agents and commands.
 *
 * @throws NoModelRoute naming the provider and what is missing
 */
export async function modelRoutes(base: BaseConfig, model: string, keys: KeySource): Promise<ProviderRoute[]> {
  const wanted = Map.groupBy(modelsOf(base, model), (name) => name.slice(0, name.indexOf('/')));
  return Promise.all(
    [...wanted].map(([provider, names]) =>
      routeOf(
        provider,
        names.map((name) => name.slice(provider.length + 1)),
        entryOf(base, provider),
        keys,
      ),
    ),
  );
}

function modelsOf(base: BaseConfig, model: string): string[] {
  const named = [...Object.values(base.agent ?? {}), ...Object.values(base.command ?? {})].map((entry) =>
    v.is(v.object({ model: v.string() }), entry) ? entry.model : null,
  );
  return [...new Set([model, base.small_model ?? model, ...named.filter((name) => name !== null)])];
}

function entryOf(base: BaseConfig, provider: string): ProviderEntry {
  const parsed = v.safeParse(entrySchema, base.provider?.[provider] ?? {});
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new NoModelRoute(`the provider ${provider}: ${v.getDotPath(issue) ?? 'its entry'}: ${issue.message}`);
}

async function routeOf(
  provider: string,
  models: string[],
  entry: ProviderEntry,
  keys: KeySource,
): Promise<ProviderRoute> {
  const known = knownProviders.get(provider);
  const baseUrl = entry.options?.baseURL ?? entry.api ?? known?.baseUrl;
  if (baseUrl === undefined)
    throw new NoModelRoute(`the address of the provider ${provider} is not known: give it as its options.baseURL`);
  const client = entry.npm ?? known?.client ?? '@ai-sdk/openai-compatible';
  const header = knownClients.get(client);
  if (header === undefined)
    throw new NoModelRoute(`the provider ${provider} uses ${client}, whose requests the gateway does not know`);
  for (const model of models) refuseOwnWays(provider, model, entry);
  const place = { provider, keys };
  const key =
    entry.options?.apiKey === undefined ? keyOf(provider, entry, keys) : await resolveText(entry.options.apiKey, place);
  const headers = await Promise.all(
    Object.entries(entry.options?.headers ?? {}).map(
      async ([name, value]) => [name.toLowerCase(), await resolveText(value, place)] as const,
    ),
  );
  return {
    provider,
    baseUrl: validUrl(provider, await resolveText(baseUrl, place)),
    headers: {
      ...(key === null ? {} : { [header]: header === 'authorization' ? `Bearer ${key}` : key }),
      ...Object.fromEntries(headers),
    },
    models: Object.fromEntries(
      models.map((model) => [entry.models?.[model]?.id ?? model, priceOf(entry.models?.[model]?.cost)]),
    ),
    ...(client === mistral ? { usageUnasked: true } : {}),
  };
}

/** A model may bring headers or an address of its own, which would be for the cell to see. */
function refuseOwnWays(provider: string, model: string, { models }: ProviderEntry): void {
  const own = models?.[model];
  if (own?.['headers'] !== undefined || own?.['provider'] !== undefined)
    throw new NoModelRoute(
      `the model ${provider}/${model} has headers or a provider of its own; give them to its provider`,
    );
}

function keyOf(provider: string, entry: ProviderEntry, { variables }: KeySource): string | null {
  const known = knownProviders.get(provider)?.variable;
  const names = entry.env ?? (known === undefined ? [] : [known]);
  const name = names.find((variable) => variables[variable] !== undefined);
  if (name !== undefined) return variables[name] ?? null;
  if (names.length === 0 || entry.options?.headers !== undefined) return null;
  throw new NoModelRoute(`the provider ${provider} has no key: set ${names.join(' or ')} for the worker`);
}

/** OpenCode's own notation: `{env:NAME}`, and `{file:path}` with the path of the configuration as its base. */
async function resolveText(text: string, { provider, keys }: { provider: string; keys: KeySource }): Promise<string> {
  const parts = await Promise.all(
    text.split(/(\{(?:env|file):[^}]+\})/).map(async (part) => {
      const [, kind, name = ''] = /^\{(env|file):([^}]+)\}$/.exec(part) ?? [];
      if (kind === undefined) return part;
      const value = kind === 'env' ? keys.variables[name] : await readSecret(name, keys.directory);
      if (value === undefined || value === null)
        throw new NoModelRoute(`the provider ${provider} needs ${part}, which the worker does not have`);
      return value;
    }),
  );
  return parts.join('');
}

async function readSecret(name: string, directory: string | null): Promise<string | null> {
  const path = name.startsWith('~/') ? join(homedir(), name.slice(2)) : name;
  const file = isAbsolute(path) ? path : join(directory ?? '/', path);
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}

function validUrl(provider: string, text: string): string {
  const url = URL.parse(text);
  if (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.search === '' &&
    url.username === ''
  )
    return text;
  throw new NoModelRoute(
    `the address of the provider ${provider} must be an http or https URL without credentials and query`,
  );
}

function priceOf(cost: unknown): ModelPrice | null {
  const parsed = v.safeParse(costSchema, cost);
  if (!parsed.success) return null;
  const { input, output, cache_read: cacheRead, cache_write: cacheWrite } = parsed.output;
  return { input, output, cacheRead, cacheWrite };
}
