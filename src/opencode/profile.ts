import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { ripgrepDirectory } from './binary.ts';
import { fixedConfig } from './config.ts';

/** What one server is started with. */
export interface ServerProfile {
  /** The cell's own home: the server's data, configuration, cache and temporary files, and the agent's `HOME`. */
  home: string;
  password: string;
  /** The file of the cell's configuration, which the server reads when it first works in a directory. */
  configFile: string;
  /** The file of models that it knows; null for the table that is built into OpenCode. */
  modelsFile: string | null;
  /** Directories in which the agent's shell finds programs. */
  path: string;
  /** For the agent's shell, from the request. */
  env: Record<string, string>;
  /** Credentials of the providers. */
  providerEnvironment: Record<string, string>;
}

/** No traffic, no plugins, nothing that a repository could run in the server. Tried with OpenCode 1.18.33. */
const switches = [
  'OPENCODE_DISABLE_PROJECT_CONFIG',
  'OPENCODE_DISABLE_CLAUDE_CODE',
  'OPENCODE_DISABLE_EXTERNAL_SKILLS',
  'OPENCODE_DISABLE_MODELS_FETCH',
  'OPENCODE_DISABLE_AUTOUPDATE',
  'OPENCODE_DISABLE_DEFAULT_PLUGINS',
  'OPENCODE_PURE',
  'OPENCODE_DISABLE_LSP_DOWNLOAD',
  'OPENCODE_DISABLE_FFF',
  'OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER',
  'OPENCODE_DISABLE_SHARE',
];

/** Options of the engine that OpenCode 1.18.33 is built on: less memory and less CPU for work that mostly waits. */
const engine = {
  BUN_JSC_useEagerCodeBlockJettisonTiming: '1',
  BUN_JSC_useDFGJIT: '0',
  BUN_JSC_heapGrowthMaxIncrease: '0.6',
  BUN_JSC_thresholdForJITAfterWarmUp: '5000',
};

/** The whole environment of a server: nothing of the worker's passes unless it is named here. */
export function serverEnvironment(profile: ServerProfile): Record<string, string> {
  const { home } = profile;
  return {
    ...profile.env,
    ...profile.providerEnvironment,
    ...Object.fromEntries(switches.map((name) => [name, '1'])),
    ...engine,
    ...shellEnvironment(profile),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_STATE_HOME: join(home, 'state'),
    OPENCODE_SERVER_PASSWORD: profile.password,
    OPENCODE_CONFIG: profile.configFile,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(fixedConfig(home)),
    ...(profile.modelsFile === null ? {} : { OPENCODE_MODELS_PATH: profile.modelsFile }),
  };
}

/** What the test command shares with the agent's shell: home, temporary directory, path, and the request's variables. */
export function shellEnvironment(profile: Pick<ServerProfile, 'home' | 'path' | 'env'>): Record<string, string> {
  return {
    ...profile.env,
    HOME: profile.home,
    TMPDIR: join(profile.home, 'tmp'),
    PATH: [profile.path, ripgrepDirectory].join(delimiter),
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    CI: 'true',
  };
}

/**
 * Makes the home of a server. The lock file in the configuration directory names the plugin package, so that
 * the server does not install it: only names are compared. Idempotent.
 */
export async function prepareHome(home: string): Promise<void> {
  const configuration = join(home, 'config', 'opencode');
  await mkdir(join(configuration, 'node_modules'), { recursive: true, mode: 0o700 });
  await Promise.all(
    ['data', 'cache', 'state', 'tmp'].map((name) => mkdir(join(home, name), { recursive: true, mode: 0o700 })),
  );
  const dependencies = { '@opencode-ai/plugin': '*' };
  const lock = { name: 'opencode', lockfileVersion: 3, packages: { '': { dependencies } } };
  await writeFile(join(configuration, 'package.json'), JSON.stringify({ dependencies }));
  await writeFile(join(configuration, 'package-lock.json'), JSON.stringify(lock));
}
