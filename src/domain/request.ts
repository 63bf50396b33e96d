import * as v from 'valibot';
import { millisecondsOf } from './duration.ts';
import { faultOf } from './fault.ts';

export const isolations = ['process', 'bubblewrap', 'docker'] as const;

/** How a cell is isolated from its host and from the other cells. */
export type IsolationName = (typeof isolations)[number];

const maximumPromptBytes = 256 * 1024;
const maximumDuration = 30 * 24 * 60 * 60 * 1000;

/** An id becomes part of a ref and of a path. */
const id = v.pipe(
  v.string('must be a string'),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'must be 1 to 63 of the characters A-Z a-z 0-9 . _ - and begin with a letter or digit',
  ),
  v.check((value) => !value.includes('..'), 'must not contain ".."'),
  v.check((value) => !value.endsWith('.') && !value.endsWith('.lock'), 'must not end in "." or ".lock"'),
);

const plainText = (name: string) =>
  v.pipe(
    v.string('must be a string'),
    v.check((value) => value.isWellFormed(), `${name} must be well-formed Unicode`),
    v.check((value) => !value.includes('\0'), `${name} must not contain a NUL character`),
  );

/** The text of an instruction to an agent. */
export const promptText = v.pipe(
  plainText('it'),
  v.check((value) => value.trim() !== '', 'must not be empty'),
  v.maxBytes(maximumPromptBytes, 'must be at most 256 KiB of UTF-8'),
);

/** A name that git may be asked to resolve. git decides whether it exists; here only tricks are refused. */
const branch = v.pipe(
  v.string('must be a string'),
  v.regex(/^[^-]/, 'must not be empty or begin with "-"'),
  v.check(
    (value) => !/[\p{C}\p{Z}~^:?*[\\]/u.test(value),
    'must not contain spaces, control or invisible characters, or any of ~ ^ : ? * [ \\',
  ),
  v.check(
    (value) => !value.includes('..') && !value.includes('@{') && !value.includes('//'),
    'must not contain "..", "@{" or "//"',
  ),
  v.check(
    (value) => !/(^|\/)\.|\.lock(\/|$)|[./]$|^\/|^@$/.test(value),
    'must not have a part that begins with "." or ends in ".lock", nor end in "." or "/"',
  ),
  v.maxBytes(200, 'must be at most 200 bytes'),
);

const repository = v.pipe(
  plainText('it'),
  v.check(
    (value) => /^(\/|[a-z][a-z0-9+.-]*:\/\/|[\w.-]+@[\w.-]+:)/i.test(value),
    'must be an absolute path or a URL that git can clone',
  ),
  v.check((value) => !/[\p{C}]/u.test(value), 'must not contain control characters'),
  v.maxBytes(4096, 'must be at most 4096 bytes'),
);

/** A duration of at most 30 days, parsed to milliseconds. */
export const durationField = v.pipe(
  v.union([v.number(), v.string()], 'must be a number of milliseconds or a string such as "90s"'),
  v.check(
    (value) => millisecondsOf(value) !== null,
    'must be a positive duration: a number of milliseconds or a string such as "90s" or "30m"',
  ),
  v.check((value) => (millisecondsOf(value) ?? 0) <= maximumDuration, 'must be at most 30 days'),
  v.transform((value) => millisecondsOf(value) ?? 0),
);

/** A whole number between two bounds, both included. */
export const wholeNumber = (least: number, most: number) =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
  );

const model = v.pipe(
  v.string('must be a string'),
  v.regex(/^[\w.-]+\/[\w.:@/+-]+$/, 'must have the form provider/model'),
);

/** A glob relative to the worktree. */
const glob = v.pipe(
  plainText('it'),
  v.check(
    (value) => value !== '' && !value.startsWith('/') && !value.split('/').includes('..'),
    'must be a glob relative to the worktree, without ".."',
  ),
  v.maxBytes(1024, 'must be at most 1024 bytes'),
);

const credential = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|AUTH/i;
/** What the cell sets itself, what changes how programs are loaded, and what would lead the keyed traffic of a server elsewhere. */
const reserved =
  /^(PATH|HOME|TMPDIR|SHELL|BASH_ENV|ENV|IFS|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|NODE_TLS_REJECT_UNAUTHORIZED|(LD|DYLD|GIT|XDG|OPENCODE|BUN|TEMPORAL|CELLS|AGENT_CELLS|SSL_CERT)_.*|.*_(PROXY|BASE_URL))$/i;

const environmentName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not a name of an environment variable'),
  v.check((value) => !credential.test(value), 'looks like a credential: credentials are not passed through requests'),
  v.check(
    (value) => !reserved.test(value),
    'is set by the cell itself, or changes how programs are loaded or where they connect',
  ),
);

const labelName = v.pipe(
  v.string(),
  v.nonEmpty('must have a name'),
  v.maxBytes(128, 'must have a name of at most 128 bytes'),
);

const resources = v.strictObject({
  memory: v.exactOptional(
    v.pipe(v.string('must be a string'), v.regex(/^[1-9]\d*[bkmg]?$/i, 'must be a size such as "768m"')),
  ),
  cpus: v.exactOptional(
    v.pipe(
      v.number('must be a number'),
      v.check((value) => value > 0 && value <= 1024, 'must be more than 0'),
    ),
  ),
  pids: v.exactOptional(wholeNumber(1, 4_194_304)),
});

/** What `network.allow` names: an address, or a name of the host's or of a service, which may have an underscore. */
export const networkTarget = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._-]{1,253}:[1-9]\d{0,4}$/, 'must have the form host:port'),
);

const network = v.union(
  [v.literal('none'), v.strictObject({ allow: v.array(networkTarget) })],
  'must be "none" or {allow: ["host:port", …]}',
);

const priority = v.strictObject({
  priorityKey: v.exactOptional(wholeNumber(1, 5)),
  fairnessKey: v.exactOptional(v.pipe(v.string('must be a string'), v.maxBytes(64, 'must be at most 64 bytes'))),
  fairnessWeight: v.exactOptional(v.pipe(v.number('must be a number'), v.minValue(0.001), v.maxValue(1000))),
});

const shortText = (bytes: number) => v.pipe(plainText('it'), v.maxBytes(bytes, `must be at most ${bytes} bytes`));

/** A map of strings. A schema of a record takes a list for one, and passes names over that mean something to JavaScript. */
const stringMap = <Name extends v.GenericSchema<string, string>>(name: Name, bytes: number) =>
  v.pipe(
    v.custom<Record<string, string>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      'must be a map of strings',
    ),
    v.check(
      (value) => !['__proto__', 'constructor', 'prototype'].some((reservedName) => Object.hasOwn(value, reservedName)),
      'must not hold the names __proto__, constructor and prototype',
    ),
    v.record(name, shortText(bytes)),
  );

const requestSchema = v.strictObject({
  agentId: id,
  taskId: id,
  prompt: promptText,
  repository: v.optional(repository),
  branch: v.optional(branch, 'main'),
  agentType: v.optional(id, 'worker'),
  model: v.optional(model),
  testCommand: v.optional(
    v.pipe(
      shortText(8192),
      v.check((value) => value.trim() !== '', 'must not be empty; leave it out to skip the tests'),
    ),
  ),
  testTimeout: v.optional(durationField, '10m'),
  protectedPaths: v.optional(
    v.pipe(v.array(glob, 'must be a list of globs'), v.maxLength(256, 'must have at most 256 globs')),
    [],
  ),
  maxRepairs: v.optional(wholeNumber(0, 20), 1),
  timeout: v.optional(durationField, '30m'),
  queueTimeout: v.optional(durationField, '24h'),
  tokenBudget: v.optional(wholeNumber(1, 1_000_000_000), 50_000),
  runtime: v.optional(v.picklist(isolations, `must be one of ${isolations.join(', ')}`)),
  resources: v.optional(resources),
  network: v.optional(network),
  env: v.optional(stringMap(environmentName, 32_768), {}),
  commitMessage: v.optional(
    v.pipe(
      shortText(16_384),
      v.check((value) => value.trim() !== '', 'must not be empty'),
    ),
  ),
  priority: v.optional(priority),
  labels: v.optional(stringMap(labelName, 1024), {}),
});

/** What a caller gives: the input of `agentCell`, durations as numbers or strings, defaults left out. */
export type CellRequest = v.InferInput<typeof requestSchema>;

/** A request that was parsed: durations in milliseconds, defaults filled in. */
export type ParsedCellRequest = v.InferOutput<typeof requestSchema>;

export type ParsedRequest = { ok: true; request: ParsedCellRequest } | { ok: false; field: string; message: string };

/**
 * Parses an outside value as a request. The first fault found is reported with the name of its field;
 * a field that does not exist is a fault.
 */
export function parseCellRequest(value: unknown): ParsedRequest {
  const parsed = v.safeParse(requestSchema, value, { abortEarly: true });
  return parsed.success ? { ok: true, request: parsed.output } : { ok: false, ...faultOf(parsed.issues[0], 'request') };
}
