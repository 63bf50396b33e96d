import which from 'which';
import { UserError } from '../domain/user-error.ts';
import { buildTemporal } from './build-temporal.ts';
import { downloadTemporal } from './download-temporal.ts';
import { cachedTemporal, defaultCacheDirectory, describeTemporal, temporalCliVersion } from './temporal-cli.ts';

export interface FindTemporalOptions {
  /** `TEMPORAL_ADDRESS` of the settings. Where it is given, that server is used and nothing is looked for. */
  address: string | undefined;
  /** Told what was tried and why it did not help, a line at a time. */
  onStep: (line: string) => void;
  signal: AbortSignal;
  /** Default: `$XDG_CACHE_HOME/agent-cells`. */
  cacheDirectory?: string;
  /** Where programs are looked for, as in `PATH`. Default: the process's. */
  searchPath?: string;
}

export type FoundTemporal =
  | { kind: 'address'; address: string }
  | { kind: 'binary'; path: string; from: 'path' | 'cache' | 'download' | 'go' };

/**
 * Where a Temporal server comes from, the cheapest way first: a given address, the CLI on the `PATH`, the cached one,
 * the SDK's download of it, a build with Go (about three minutes, once). The last two fill the cache.
 *
 * @throws UserError `TemporalUnreachable`, naming the ways out, when every way failed.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<FoundTemporal> {
  const { address, onStep, signal, cacheDirectory = defaultCacheDirectory(), searchPath } = options;
  if (address !== undefined && address !== '') return { kind: 'address', address };
  const cached = cachedTemporal(cacheDirectory);
  const ways = [
    { from: 'path', name: 'temporal on the PATH', find: () => programOnPath('temporal', searchPath, signal) },
    { from: 'cache', name: `the cached ${cached}`, find: () => runnable(cached, signal) },
    {
      from: 'download',
      name: `downloading the CLI ${temporalCliVersion}`,
      find: () => downloadTemporal(options, cached),
    },
    { from: 'go', name: `building the CLI ${temporalCliVersion} with go`, find: () => buildTemporal(options, cached) },
  ] as const;
  const causes: unknown[] = [];
  for (const { from, name, find } of ways) {
    signal.throwIfAborted();
    try {
      return { kind: 'binary', path: await find(), from };
    } catch (cause) {
      signal.throwIfAborted();
      causes.push(cause);
      onStep(`Temporal: ${name}: ${reasonOf(cause)}`);
    }
  }
  throw new UserError('TemporalUnreachable', 'no Temporal server is given, and none could be found, fetched or built', {
    try: waysOut(cached),
    cause: new AggregateError(causes),
  });
}

async function programOnPath(name: string, searchPath: string | undefined, signal: AbortSignal): Promise<string> {
  const path = await which(name, { nothrow: true, ...(searchPath === undefined ? {} : { path: searchPath }) });
  if (path === null) throw new Error('not there');
  return await runnable(path, signal);
}

async function runnable(path: string, signal: AbortSignal): Promise<string> {
  await describeTemporal(path, signal);
  return path;
}

/** One line: the short message where execa gives one, the first line elsewhere. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ('code' in cause && cause.code === 'ENOENT') return 'not there';
  const text = 'shortMessage' in cause && typeof cause.shortMessage === 'string' ? cause.shortMessage : cause.message;
  return text.split('\n')[0] ?? text;
}

const waysOut = (cached: string): string =>
  [
    'do one of these:',
    '  1. set TEMPORAL_ADDRESS to a server that runs (docker-compose.yml starts one)',
    '  2. put the Temporal CLI on the PATH (see docs.temporal.io/cli)',
    `  3. put the CLI's binary at ${cached}`,
    '  4. install Go and reach a Go module proxy, and it is built from source here',
  ].join('\n');
