import { mkdir, realpath, stat } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { UserError } from '../domain/user-error.ts';
import { replaceFile } from '../files/replace-file.ts';

/** The file of this user's defaults for the host, below XDG's configuration home; null where the environment names no home. */
export function settingsFileOf(env: Readonly<Record<string, string | undefined>>): string | null {
  const home = env['HOME'] ? join(env['HOME'], '.config') : null;
  const base = env['XDG_CONFIG_HOME'] || home;
  return base === null ? null : join(base, 'agent-cells', 'settings.env');
}

/** Reads a file of `NAME=value` lines; one that is not there is empty. @throws UserError `InvalidConfiguration` */
export function readSettingsFile(file: string): Record<string, string> {
  if (!existsSync(file)) return {};
  try {
    return Object.fromEntries(
      Object.entries(parseEnv(readFileSync(file, 'utf8'))).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      ),
    );
  } catch (cause) {
    throw new UserError('InvalidConfiguration', `cannot read ${resolve(file)}`, {
      try: 'make it readable, or remove it',
      cause,
    });
  }
}

/**
 * Sets one name in the file, or takes it out where the value is null. The file is replaced as a whole, with mode 600.
 *
 * @throws UserError `InvalidInput` for a value that a line cannot hold, `InvalidConfiguration` where the file cannot be written.
 */
export async function changeSettingsFile(file: string, name: string, value: string | null): Promise<void> {
  const { [name]: _, ...others } = readSettingsFile(file);
  const entries = Object.entries(value === null ? others : { ...others, [name]: value });
  const lines = entries.toSorted(([one], [other]) => one.localeCompare(other)).map(([key, text]) => lineOf(key, text));
  const head =
    '# Defaults of agent-cells on this host, written by `cells config`. The environment and .env go over them.';
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    // Who keeps it elsewhere, and has a link here, keeps the link; and whose it is it stays, when root changes it.
    const target = await realpath(file).catch(() => file);
    const owner = process.getuid?.() === 0 ? await stat(target).catch(() => null) : null;
    await replaceFile(target, `${[head, ...lines].join('\n')}\n`, { mode: 0o600, owner });
  } catch (cause) {
    throw new UserError('InvalidConfiguration', `cannot write ${resolve(file)}: ${String(cause)}`, {
      try: 'make its directory writable for this user, or set XDG_CONFIG_HOME to another one',
      cause,
    });
  }
}

/** In whichever quotes the value comes back as it is. */
function lineOf(name: string, value: string): string {
  const line = ['', '"', "'", '`']
    .map((quote) => `${name}=${quote}${value}${quote}`)
    .find((text) => parseEnv(text)[name] === value && !/[\r\n]/.test(text));
  if (line !== undefined) return line;
  throw new UserError('InvalidInput', `the value of ${name} cannot be kept in a file of settings`, {
    try: 'set it in the environment, or separate the parts by commas instead of line breaks',
  });
}
