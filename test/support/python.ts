import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { defaultCacheDirectory } from '../../src/temporal/temporal-cli.ts';

/**
 * An environment of Python with the packages of a requirements file, made once and kept in the cache.
 *
 * @returns the path of its interpreter.
 */
export async function pythonWith(requirements: string): Promise<string> {
  const version = await run('python3', ['--version'], 'install Python 3.10 or newer (Debian: apt-get install python3)');
  const hash = createHash('sha256')
    .update(version)
    .update(await readFile(requirements));
  const directory = join(defaultCacheDirectory(), `python-${hash.digest('hex').slice(0, 16)}`);
  const python = join(directory, 'bin', 'python');
  // Written at the end: an environment without it was not finished.
  const complete = join(directory, 'complete');
  if (existsSync(complete)) return python;
  await rm(directory, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', directory], 'install its venv module (Debian: apt-get install python3-venv)');
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', requirements];
  await run(python, install, 'the package index must be reachable, once; see `pip config list`');
  await writeFile(complete, '');
  return python;
}

async function run(program: string, programArguments: string[], hint: string): Promise<string> {
  try {
    const { stdout } = await execa(program, programArguments, { stdin: 'ignore' });
    return stdout;
  } catch (cause) {
    throw new Error(`cannot make a Python environment: ${hint}`, { cause });
  }
}
