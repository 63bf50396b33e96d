import { join } from 'node:path';
import { execa } from 'execa';
import { xdgCache } from 'xdg-basedir';

/** The newest Temporal CLI that `go install` can build: later ones carry a `replace` in their go.mod. */
export const temporalCliVersion = '1.5.1';

/** Where things that were fetched or built are kept: `$XDG_CACHE_HOME/agent-cells`. Deleting it costs only time. */
export function defaultCacheDirectory(): string {
  if (xdgCache === undefined) throw new Error('neither XDG_CACHE_HOME nor HOME is set: no place for a cache');
  return join(xdgCache, 'agent-cells');
}

/** The cached binary; its version is in the path, so that a new version never meets an old file. */
export const cachedTemporal = (cacheDirectory: string): string =>
  join(cacheDirectory, `temporal-cli-${temporalCliVersion}`, 'temporal');

/**
 * Runs the binary once.
 *
 * @returns what it says about itself, such as `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`.
 * @throws when it does not run on this machine within 20 seconds, or is something else.
 */
export async function describeTemporal(path: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await execa(path, ['--version'], { stdin: 'ignore', timeout: 20_000, cancelSignal: signal });
  if (!stdout.startsWith('temporal version')) throw new Error(`${path} is not the Temporal CLI: it says "${stdout}"`);
  return stdout;
}
