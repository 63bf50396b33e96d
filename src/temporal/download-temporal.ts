import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { cacheTemporal } from './cache-temporal.ts';
import { temporalCliVersion } from './temporal-cli.ts';

/** Behind a firewall that answers nothing the SDK would wait for minutes. */
const downloadTimeoutMs = 60_000;

/** The SDK downloads in a process of its own: its native runtime can be made once in a process, and cannot be cancelled. */
const downloader = fileURLToPath(new URL(`./download-process${extname(import.meta.url)}`, import.meta.url));

/**
 * Has the Temporal SDK download the CLI, as it does for its own tests, and keeps it in the cache.
 *
 * @throws within a minute where the download site is not reached.
 */
export async function downloadTemporal(
  { onStep, signal }: { onStep: (line: string) => void; signal: AbortSignal },
  cached: string,
): Promise<string> {
  return await cacheTemporal(cached, signal, async (directory) => {
    onStep(`Temporal: downloading the CLI ${temporalCliVersion}`);
    const download = execa(process.execPath, [downloader, directory, `v${temporalCliVersion}`], {
      stdin: 'ignore',
      timeout: downloadTimeoutMs,
      cancelSignal: signal,
      reject: false,
    });
    const { failed, timedOut, stderr } = await download;
    if (timedOut) throw new Error(`no answer within ${downloadTimeoutMs / 1_000} s`);
    if (failed) throw new Error(lastCause(stderr));
    const [name] = await readdir(directory);
    if (name === undefined) throw new Error('the download left no file');
    return join(directory, name);
  });
}

/** The SDK wraps the cause in the same address several times; what comes after the last one says what happened. */
const lastCause = (stderr: string): string =>
  stderr
    .trim()
    .split(/\(https?:[^)]*\): /)
    .at(-1) || 'the download failed';
