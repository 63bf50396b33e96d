import { mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import prettyMilliseconds from 'pretty-ms';
import { lock } from 'proper-lockfile';
import waitFor from 'p-wait-for';
import which from 'which';
import { cacheTemporal } from './cache-temporal.ts';
import { describeTemporal, temporalCliVersion } from './temporal-cli.ts';

const module = 'github.com/temporalio/cli';
const progressEveryMs = 15_000;

/** Go downloads 200 modules and compiles 1,500 packages: three minutes on two cores, far more on a small machine. */
const buildTimeoutMs = 30 * 60_000;

export interface BuildOptions {
  onStep: (line: string) => void;
  signal: AbortSignal;
  /** As in `PATH`. Default: the process's. */
  searchPath?: string;
}

/**
 * Builds the pinned CLI with Go into the cache. One process builds; others that come meanwhile wait for it and use what it made.
 *
 * @throws at once when there is no Go; later when modules cannot be fetched or the build fails.
 */
export async function buildTemporal(options: BuildOptions, cached: string): Promise<string> {
  const { onStep, signal, searchPath } = options;
  const go = await which('go', { nothrow: true, ...(searchPath === undefined ? {} : { path: searchPath }) });
  if (go === null) throw new Error('go is not on the PATH');
  await mkdir(dirname(cached), { recursive: true });
  await using _building = await buildLock(dirname(cached), options);
  if (await runs(cached, signal)) return cached;
  onStep(`Temporal: building the CLI ${temporalCliVersion} with ${go}: about three minutes, once`);
  return await cacheTemporal(cached, signal, (directory) => build(go, directory, options));
}

async function build(go: string, directory: string, { onStep, signal, searchPath }: BuildOptions): Promise<string> {
  const started = Date.now();
  const version = `-X ${module}/temporalcli.Version=${temporalCliVersion}`;
  const subprocess = execa(
    go,
    ['install', '-v', '-trimpath', '-ldflags', `-s -w ${version}`, `${module}/cmd/temporal@v${temporalCliVersion}`],
    {
      cwd: directory,
      // Without a C compiler too. Go calls itself and git by name, hence the path.
      env: {
        GOBIN: directory,
        CGO_ENABLED: '0',
        ...(searchPath === undefined ? {} : { PATH: pathWith(go, searchPath) }),
      },
      stdin: 'ignore',
      stdout: 'ignore',
      timeout: buildTimeoutMs,
      cancelSignal: signal,
    },
  );
  let [fetched, compiled, last] = [0, 0, ''];
  createInterface({ input: subprocess.stderr }).on('line', (line) => {
    last = line;
    if (line.startsWith('go: downloading')) fetched += 1;
    else if (!line.startsWith('go:')) compiled += 1;
  });
  const progress = setInterval(() => {
    const elapsed = prettyMilliseconds(Date.now() - started, { secondsDecimalDigits: 0 });
    onStep(`Temporal: building, ${elapsed}: ${fetched} modules fetched, ${compiled} packages compiled`);
  }, progressEveryMs);
  try {
    await subprocess;
  } catch (cause) {
    signal.throwIfAborted();
    throw new Error(last === '' ? 'go failed' : `go failed: ${last}`, { cause });
  } finally {
    clearInterval(progress);
  }
  return join(directory, 'temporal');
}

const pathWith = (go: string, searchPath: string): string => [dirname(go), searchPath].join(delimiter);

async function runs(path: string, signal: AbortSignal): Promise<boolean> {
  return await describeTemporal(path, signal).then(
    () => true,
    () => false,
  );
}

/** A lock that a dead process loses after half a minute. */
async function buildLock(directory: string, { onStep, signal }: BuildOptions): Promise<AsyncDisposable> {
  let waiting = false;
  const release = await waitFor(
    async () => {
      try {
        return waitFor.resolveWith(await lock(directory, { stale: 30_000, update: 5_000 }));
      } catch (error) {
        if (!isLocked(error)) throw error;
        if (!waiting) onStep('Temporal: another process builds the CLI; waiting for it');
        waiting = true;
        return false;
      }
    },
    { interval: 1_000, timeout: buildTimeoutMs, signal },
  );
  return { [Symbol.asyncDispose]: release };
}

const isLocked = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ELOCKED';
