import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { readSettingsFile, settingsFileOf } from './config/settings-file.ts';
import { address, duration, image, path, place, places, ports, size, volumes, wholeNumber } from './config/values.ts';
import { isolations, type IsolationName } from './domain/request.ts';
import { UserError } from './domain/user-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigOptions {
  /** A file of `NAME=value` lines that the environment overrides; null for none. Default: `.env` in the working directory. Both go over the file of `cells config`. */
  dotenv?: string | null;
}

/** The settings of one host, parsed. Paths are absolute. */
export interface Config {
  /** Names the host's task queue; stable over restarts. */
  hostId: string;
  stateDirectory: string;
  /** The repository of a request that names none. */
  repository: string | null;
  /** Paths and URL prefixes that may be worked on; empty when nothing is configured: then nothing may. */
  repositories: string[];
  /** Cells at once. */
  capacity: number;
  ports: { from: number; to: number };
  /** Servers that wait, booted ahead, for a cell. */
  warmServers: number;
  /** Bytes of memory, and of the disk of the state directory, that cells must leave free; null for the default of the host. */
  memoryReserve: number | null;
  diskReserve: number | null;
  /** The runtime of a request that names none; null for the strongest that the host's probes find usable. */
  runtime: IsolationName | null;
  opencodeConfig: string | null;
  /** Whether cells that are not confined reach their models through the gateway too, and have no keys. */
  modelGateway: boolean;
  /** Where control groups are made: `auto`, `off`, or a directory of a cgroup v2 hierarchy. */
  cgroup: string;
  /**
   * The engine of the docker runtime: what `DOCKER_HOST` says, and an image of the operator's; null for the usual place, and the base
   * image. And the project whose services targets name.
   */
  docker: { host: string | null; image: string | null; project: string };
  /** What confined cells get to read of this host besides: where it is, and where they find it. */
  volumes: { source: string; target: string }[];
  /** Port 0 takes any free one. */
  metricsAddress: { host: string; port: number };
  logLevel: LogLevel;
  /** Null for `pretty` on a terminal and `json` elsewhere. */
  logFormat: 'pretty' | 'json' | null;
  /** The file of agent types. */
  templates: string;
  /** How long an agent may say nothing before it counts as hung. */
  silenceLimitMs: number;
  /** What a cell may use in all before its server is replaced between two steps, bytes. */
  serverMemory: number;
  /** What the files of one cell may take, bytes. */
  cellDisk: number;
  /** Where the agent's shell finds programs: the `PATH` of the worker. */
  path: string;
  /** How long a step of a cell may wait for a worker of this host before the host counts as lost. */
  hostLostAfterMs: number;
  /** How long the artifacts of an ended cell are kept. */
  artifactRetentionMs: number;
  /** How long the lines of the audit log are kept. */
  auditRetentionMs: number;
  /** The providers' own variables, `*_API_KEY`, to be handed to OpenCode servers. */
  providerEnvironment: Record<string, string>;
  /** Temporal's own variables, `TEMPORAL_*`, and where its profiles lie: what `@temporalio/envconfig` reads. */
  temporal: Record<string, string>;
}

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export type SettingSource = 'environment' | '.env' | 'config file' | 'default';

/** One setting as a person may read it: secrets are masked. */
export interface DescribedSetting {
  name: string;
  value: string;
  source: SettingSource;
}

/**
 * Reads the settings once. The only reader of the process's environment in the product.
 *
 * @throws UserError `InvalidConfiguration`, naming the variable and what is allowed.
 */
export function readConfig(env: Environment = process.env, options: ConfigOptions = {}): Config {
  const { values } = merge(env, options);
  const get = <Name extends SettingName>(name: Name): Parsed<Name> => parse(name, values);
  const repository = get('CELLS_REPOSITORY');
  const repositories = get('CELLS_REPOSITORIES');
  return {
    hostId: get('CELLS_HOST_ID'),
    stateDirectory: get('CELLS_STATE_DIR'),
    repository,
    repositories: repositories ?? (repository === null ? [] : [repository]),
    capacity: get('CELLS_CAPACITY'),
    ports: get('CELLS_PORTS'),
    warmServers: get('CELLS_WARM'),
    memoryReserve: get('CELLS_MEMORY_RESERVE'),
    diskReserve: get('CELLS_DISK_RESERVE'),
    runtime: get('CELLS_RUNTIME'),
    opencodeConfig: get('CELLS_OPENCODE_CONFIG'),
    modelGateway: get('CELLS_MODEL_GATEWAY') === 'on',
    cgroup: get('CELLS_CGROUP'),
    docker: {
      host: values['DOCKER_HOST'] ?? null,
      image: get('CELLS_DOCKER_IMAGE'),
      project: values['COMPOSE_PROJECT_NAME'] ?? 'agent-cells',
    },
    volumes: get('CELLS_VOLUMES'),
    metricsAddress: get('CELLS_METRICS_ADDRESS'),
    logLevel: get('CELLS_LOG_LEVEL'),
    logFormat: get('CELLS_LOG_FORMAT'),
    templates: get('CELLS_AGENTS'),
    silenceLimitMs: get('CELLS_SILENCE_LIMIT'),
    serverMemory: get('CELLS_SERVER_MEMORY'),
    cellDisk: get('CELLS_CELL_DISK'),
    hostLostAfterMs: get('CELLS_HOST_LOST_AFTER'),
    path: values['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    artifactRetentionMs: get('CELLS_ARTIFACT_RETENTION'),
    auditRetentionMs: get('CELLS_AUDIT_RETENTION'),
    providerEnvironment: pick(values, isProviderKey),
    temporal: temporalEnvironment(values),
  };
}

/** What `@temporalio/envconfig` reads: Temporal's own variables, and where its profiles lie. */
export const temporalEnvironment = (env: Environment = process.env): Record<string, string> =>
  pick(env, (name) => name.startsWith('TEMPORAL_') || placesOfProfiles.includes(name));

/** Every setting with its source, for `cells doctor`; does not throw on a value that is not allowed. */
export function describeConfig(env: Environment = process.env, options: ConfigOptions = {}): DescribedSetting[] {
  const { values, sourceOf } = merge(env, options);
  const own = settingNames.map((name) => ({
    name,
    value: mask(name, values[name] ?? settings[name].default(values) ?? '(none)'),
    source: sourceOf(name),
  }));
  const others = Object.keys(values)
    .filter((name) => name.startsWith('TEMPORAL_') || isProviderKey(name))
    .toSorted()
    .map((name) => ({ name, value: mask(name, values[name] ?? ''), source: sourceOf(name) }));
  return [...own, ...others];
}

/** The file of `cells config`. @throws UserError `InvalidConfiguration` where the environment names no home. */
export function ownSettingsFile(env: Environment = process.env): string {
  const file = settingsFileOf(env);
  if (file !== null) return file;
  throw new UserError('InvalidConfiguration', 'there is no place for a file of settings', {
    try: 'set HOME or XDG_CONFIG_HOME',
  });
}

/** Variables that look like settings of ours and are not: typing mistakes, most likely. */
export function unknownSettings(env: Environment = process.env, options: ConfigOptions = {}): string[] {
  const { values } = merge(env, options);
  return Object.keys(values).filter((name) => name.startsWith('CELLS_') && !Object.hasOwn(settings, name));
}

const shippedTemplates = fileURLToPath(new URL('../config/agents.yaml', import.meta.url));

const idAllowed = '1 to 63 of the characters A-Z a-z 0-9 . _ -, beginning with a letter or digit';
const cgroupAllowed = 'auto, off, or the absolute path of a directory of a cgroup v2 hierarchy';
const none = () => null;

/** How each variable is parsed. The message of a schema is what is allowed; `default` is the text that stands for nothing given. */
const settings = {
  CELLS_HOST_ID: {
    schema: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, idAllowed)),
    default: hostIdOfMachine,
  },
  CELLS_STATE_DIR: { schema: path, default: (env: Environment) => join(stateHome(env), 'agent-cells') },
  CELLS_REPOSITORY: { schema: v.nullable(place), default: none },
  CELLS_REPOSITORIES: { schema: v.nullable(places), default: none },
  CELLS_CAPACITY: { schema: wholeNumber(1, 10_000, 'a whole number from 1 to 10000'), default: () => '50' },
  CELLS_PORTS: { schema: ports, default: () => '9000-9999' },
  CELLS_WARM: { schema: wholeNumber(0, 100, 'a whole number from 0 to 100'), default: () => '1' },
  CELLS_MEMORY_RESERVE: { schema: v.nullable(size), default: none },
  CELLS_DISK_RESERVE: { schema: v.nullable(size), default: none },
  CELLS_RUNTIME: { schema: v.nullable(v.picklist(isolations, `one of ${isolations.join(', ')}`)), default: none },
  CELLS_OPENCODE_CONFIG: { schema: v.nullable(path), default: none },
  CELLS_MODEL_GATEWAY: { schema: v.picklist(['on', 'off'], 'on or off'), default: () => 'on' },
  CELLS_CGROUP: { schema: v.pipe(v.string(), v.regex(/^(auto|off|\/.*)$/, cgroupAllowed)), default: () => 'auto' },
  CELLS_DOCKER_IMAGE: { schema: v.nullable(image), default: none },
  CELLS_VOLUMES: { schema: volumes, default: () => '' },
  CELLS_METRICS_ADDRESS: { schema: address, default: () => '127.0.0.1:9464' },
  CELLS_LOG_LEVEL: { schema: v.picklist(logLevels, `one of ${logLevels.join(', ')}`), default: () => 'info' },
  CELLS_LOG_FORMAT: { schema: v.nullable(v.picklist(['pretty', 'json'], 'pretty or json')), default: none },
  CELLS_AGENTS: { schema: path, default: () => shippedTemplates },
  CELLS_SILENCE_LIMIT: { schema: duration, default: () => '5m' },
  CELLS_SERVER_MEMORY: { schema: size, default: () => '1g' },
  CELLS_CELL_DISK: { schema: size, default: () => '10g' },
  CELLS_HOST_LOST_AFTER: { schema: duration, default: () => '2m' },
  CELLS_ARTIFACT_RETENTION: { schema: duration, default: () => '7d' },
  CELLS_AUDIT_RETENTION: { schema: duration, default: () => '90d' },
} as const;

type SettingName = keyof typeof settings;
type Parsed<Name extends SettingName> = v.InferOutput<(typeof settings)[Name]['schema']>;

// `Object.keys` of a constant object answers exactly its keys.
const settingNames = Object.keys(settings) as SettingName[];

/** The setting that a person means: by its full name, or in the short form `state-dir`. @throws UserError `InvalidInput` */
export function settingNamed(text: string): string {
  const name = text.startsWith('CELLS_') ? text : `CELLS_${text.toUpperCase().replaceAll('-', '_')}`;
  if (Object.hasOwn(settings, name)) return name;
  const short = settingNames.map((known) => known.slice('CELLS_'.length).toLowerCase().replaceAll('_', '-'));
  throw new UserError('InvalidInput', `there is no setting ${text}`, { try: `there are ${short.join(', ')}` });
}

/** The text by which a value is kept for later: paths are made absolute, for it may be read anywhere. @throws UserError `InvalidConfiguration`; `InvalidInput` for an empty value */
export function settingText(name: string, value: string): string {
  if (/^[\s,]*$/.test(value)) {
    throw new UserError('InvalidInput', `${name} cannot be set to nothing`, { try: `cells config unset ${name}` });
  }
  // `settingNamed` answers names of the table alone.
  const parsed: unknown = parse(name as SettingName, { [name]: value });
  if (Array.isArray(parsed) && parsed.every((part) => typeof part === 'string')) return parsed.join(',');
  return typeof parsed === 'string' ? parsed : value;
}

function parse<Name extends SettingName>(name: Name, values: Environment): Parsed<Name> {
  const setting = settings[name];
  const given = values[name];
  const parsed = v.safeParse(setting.schema, given ?? setting.default(values));
  // The schema is the one that `Parsed` was taken from; the compiler does not follow it through the table.
  if (parsed.success) return parsed.output as Parsed<Name>;
  throw new UserError(
    'InvalidConfiguration',
    `${name}=${given} is not allowed: it must be ${parsed.issues[0].message}`,
    {
      try: `set ${name} to an allowed value, or unset it; \`cells doctor\` prints every setting with its source`,
    },
  );
}

interface Merged {
  values: Environment;
  sourceOf: (name: string) => SettingSource;
}

/** An empty variable is one that is not set: compose files and unit files cannot unset one. */
function merge(env: Environment, { dotenv = '.env' }: ConfigOptions): Merged {
  const given = withoutEmpty(env);
  const file = withoutEmpty(dotenv === null ? {} : readSettingsFile(dotenv));
  const ofHost = settingsFileOf(env);
  // Keys and the address of a server are no defaults of a host: they stay where they are looked for.
  const defaults = pick(withoutEmpty(ofHost === null ? {} : readSettingsFile(ofHost)), (name) =>
    name.startsWith('CELLS_'),
  );
  const sources = [
    ['environment', given],
    ['.env', file],
    ['config file', defaults],
  ] as const;
  return {
    values: { ...defaults, ...file, ...given },
    sourceOf: (name) => sources.find(([, values]) => name in values)?.[0] ?? 'default',
  };
}

const withoutEmpty = (env: Environment): Record<string, string> => pick(env, (name) => env[name]?.trim() !== '');

function pick(env: Environment, wanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value !== undefined && wanted(name) ? [[name, value]] : [])),
  );
}

/** Variables by which `@temporalio/envconfig` finds the file of profiles. */
const placesOfProfiles = ['HOME', 'XDG_CONFIG_HOME', 'APPDATA', 'USERPROFILE'];

const isProviderKey = (name: string): boolean => /^[A-Z0-9_]+_API_KEY$/.test(name) && !/^(TEMPORAL|CELLS)_/.test(name);

const mask = (name: string, value: string): string =>
  /KEY|TOKEN|SECRET|PASSW|AUTH|GRPC_META|DATA$/.test(name)
    ? `(secret, ${value.length} characters)`
    : value.replaceAll(/(:\/\/)[^/@\s]+@/g, '$1…@');

const stateHome = (env: Environment): string => env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state');

/** The machine's name, in the characters that a task queue and a path may hold. */
function hostIdOfMachine(): string {
  const name = hostname()
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63);
  return name === '' ? 'host' : name;
}
