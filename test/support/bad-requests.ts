/** A request that is refused before anything is made, and the field that the refusal names. */
export interface BadRequest {
  what: string;
  /** As another language would send it: the JSON of the input. */
  input: unknown;
  field: string;
}

const good = { taskId: 'task', agentId: 'agent', prompt: 'Do it. [script: edit-file]' };

const ids: [what: string, id: unknown][] = [
  ['a path out of its directory', '../x'],
  ['a path', 'a/b'],
  ['an absolute path', '/etc/passwd'],
  ['an option', '-b'],
  ['a range of revisions', 'a..b'],
  ['the name of a lock file', 'x.lock'],
  ['a reflog expression', 'a@{1}'],
  ['a file of a revision', 'HEAD:file'],
  ['a hidden file', '.hidden'],
  ['a dot at the end', 'x.'],
  ['a direction override', 'a\u202Eb'],
  ['a zero-width space', 'a\u200Bb'],
  ['a letter that only looks like one', 'а'],
  ['a NUL character', 'a\0b'],
  ['a newline at the end', 'a\n'],
  ['64 characters', 'x'.repeat(64)],
  ['300 characters', 'x'.repeat(300)],
  ['nothing', ''],
  ['a number', 7],
  ['null', null],
];

const branches: [what: string, branch: unknown][] = [
  ['a path out of its directory', '../x'],
  ['an option', '-b'],
  ['a long option', '--upload-pack=touch /tmp/owned'],
  ['a range of revisions', 'a..b'],
  ['the name of a lock file', 'x.lock'],
  ['a directory named as a lock file', 'x.lock/y'],
  ['the start of a reflog expression', '@{'],
  ['a reflog expression', 'main@{1}'],
  ['HEAD in short', '@'],
  ['a file of a revision', 'HEAD:file'],
  ['a search in the log', ':/fix'],
  ['an ancestor', 'main~1'],
  ['a parent', 'main^'],
  ['a glob', 'main*'],
  ['a backslash', 'a\\b'],
  ['a hidden component', 'a/.b'],
  ['an empty component', 'a//b'],
  ['a slash at the start', '/main'],
  ['a slash at the end', 'main/'],
  ['a dot at the end', 'main.'],
  ['a space', 'a b'],
  ['a direction override', 'a\u202Eb'],
  ['a zero-width joiner', 'a\u200Db'],
  ['a byte order mark', '\uFEFFmain'],
  ['half of a surrogate pair', 'a\uD800'],
  ['a NUL character', 'a\0b'],
  ['a newline at the end', 'main\n'],
  ['300 characters', 'x'.repeat(300)],
  ['nothing', ''],
  ['a number', 7],
];

const fields: [field: string, what: string, value: unknown][] = [
  ['prompt', '300 KiB', 'x'.repeat(300 * 1024)],
  ['prompt', '100 KiB characters of three bytes', '漢'.repeat(100 * 1024)],
  ['prompt', 'nothing', ''],
  ['prompt', 'white space', ' \n\t\u3000'],
  ['prompt', 'a NUL character', 'a\0b'],
  ['prompt', 'half of a surrogate pair', 'a\uDC00'],
  ['prompt', 'a list', ['Do it.']],
  ['tokenBudget', 'zero', 0],
  ['tokenBudget', 'a negative number', -1],
  ['tokenBudget', 'a fraction', 0.5],
  ['tokenBudget', 'more than a billion', 1e15],
  ['tokenBudget', 'not a number', Number.NaN],
  ['tokenBudget', 'infinity', Number.POSITIVE_INFINITY],
  ['tokenBudget', 'a string', '50000'],
  ['timeout', 'an unknown unit', '30 parsecs'],
  ['timeout', 'a number without a unit in a string', '5'],
  ['timeout', 'not a number', Number.NaN],
  ['timeout', 'zero', 0],
  ['timeout', 'a negative duration', '-5m'],
  ['timeout', 'a century', '100y'],
  ['timeout', 'nothing', ''],
  ['timeout', 'an object as another SDK writes it', { seconds: 30 }],
  ['testTimeout', 'zero seconds', '0s'],
  ['queueTimeout', 'an exponent', '1e3s'],
  ['maxRepairs', 'a negative number', -1],
  ['maxRepairs', 'a fraction', 1.5],
  ['maxRepairs', 'far too many', 1000],
  ['agentType', 'a path', '../worker'],
  ['model', 'no provider', 'gpt'],
  ['model', 'an option', '--model'],
  ['repository', 'a relative path', 'repo'],
  ['repository', 'an option', '--upload-pack=x'],
  ['repository', 'a transport that runs a command', 'ext::sh -c whoami'],
  ['repository', 'a newline', '/srv/a\n/etc'],
  ['testCommand', 'white space', '  '],
  ['testCommand', 'null', null],
  ['timeout', 'null', null],
  ['repository', 'null', null],
  ['testCommand', 'a NUL character', 'a\0b'],
  ['protectedPaths', 'a string', 'test/**'],
  ['protectedPaths.0', 'a path out of the worktree', ['../**']],
  ['protectedPaths.1', 'an absolute path', ['test/**', '/etc/**']],
  ['runtime', 'an unknown one', 'firecracker'],
  ['resources', 'a number', 5],
  ['resources.disk', 'an unknown field', { disk: '1g' }],
  ['resources.memory', 'an unknown unit', { memory: '5 parsecs' }],
  ['resources.cpus', 'zero', { cpus: 0 }],
  ['network', 'an unknown word', 'all'],
  ['commitMessage', 'white space', '\n'],
  ['priority.priorityKey', 'out of range', { priorityKey: 9 }],
  ['labels', 'a list', ['a']],
  ['labels.team', 'a number', { team: 5 }],
  ['env', 'a list of assignments', ['A=b']],
  ['env.A', 'a number', { A: 1 }],
];

const environmentNames = [
  'AWS_SECRET_ACCESS_KEY',
  'GITHUB_TOKEN',
  'DB_PASSWORD',
  'npm_config_authorization',
  'LD_PRELOAD',
  'https_proxy',
  'OPENAI_BASE_URL',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'NODE_OPTIONS',
  'BASH_ENV',
  'PATH',
  'HOME',
  'GIT_DIR',
  'GIT_SSH_COMMAND',
  'OPENCODE_CONFIG',
  'CELLS_REPOSITORIES',
  'AGENT_CELLS_CELL_ID',
  'A-B',
  '1A',
  'A=B',
];

/** Names that a program in JavaScript finds on every object: only in JSON are they fields of their own. */
const inherited = ['__proto__', 'constructor', 'toString'];

/** Everything that is refused by looking at the request alone. */
export const badRequests: readonly BadRequest[] = [
  ...['agentId', 'taskId'].flatMap((field) => ids.map(([what, value]) => bad(field, what, value))),
  ...branches.map(([what, value]) => bad('branch', what, value)),
  ...fields.map(([field, what, value]) => bad(field, what, value)),
  ...environmentNames.map((name) => bad(`env.${name}`, 'a name that is not passed on', { [name]: 'x' })),
  ...['agentId', 'taskId', 'prompt'].map((field) => ({
    what: `no ${field}`,
    input: Object.fromEntries(Object.entries(good).filter(([name]) => name !== field)),
    field,
  })),
  ...['promt', 'agent_id', ...inherited].map((field) => ({
    what: `the unknown field ${field}`,
    input: fromJson(`{"taskId":"task","agentId":"agent","prompt":"x",${JSON.stringify(field)}:{"runtime":"docker"}}`),
    field,
  })),
  ...['env', 'labels'].map((field) => ({
    what: `the name __proto__ in ${field}`,
    input: fromJson(`{"taskId":"task","agentId":"agent","prompt":"x",${JSON.stringify(field)}:{"__proto__":"x"}}`),
    field,
  })),
];

function bad(path: string, what: string, value: unknown): BadRequest {
  const [field = path] = path.split('.', 1);
  return { what: `${field}: ${what}`, input: { ...good, [field]: value }, field: path };
}

function fromJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return value;
}
