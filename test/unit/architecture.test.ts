import { describe, expect, test } from 'vitest';
import { type SourceFile, sourceFiles } from '../support/source-files.ts';

/** What a program needs before it does anything of its own. */
const base = ['src/domain', 'src/config.ts', 'src/telemetry', 'src/temporal', 'src/templates'];

/**
 * Who may import whom, from the ground up: a layer may use what stands here beside it and itself, nothing else of ours.
 * A layer is a path; where two match, the longer one counts. Imports point down, so that each layer can be read, tested and
 * replaced without those above it. `activities/contract.ts` is the border: what workflows ask of a host, in types.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'src/domain': [],
  'src/telemetry/metrics.ts': [],
  'activities/contract.ts': ['src/domain'],
  'src/files': [],
  'src/config': ['src/domain', 'src/files'],
  'src/config.ts': ['src/config', 'src/domain'],

  'src/runner': [],
  'src/git': ['src/domain', 'src/files', 'src/runner'],
  'src/journal': ['src/domain'],
  'src/gateway': ['src/domain'],
  'src/opencode': ['src/domain', 'src/files', 'src/gateway'],
  'src/providers': [],
  'src/runtimes': ['src/domain', 'src/runner'],
  'src/templates': ['src/domain'],
  'src/scripted-model': ['src/domain'],
  'src/telemetry': ['src/domain', 'src/config.ts', 'src/telemetry/metrics.ts'],
  'src/temporal': ['src/domain', 'src/config.ts'],

  'src/cell': [
    'src/domain',
    'src/files',
    'src/gateway',
    'src/git',
    'src/journal',
    'src/opencode',
    'src/providers',
    'src/runner',
    'src/runtimes',
    'src/templates',
    'activities/contract.ts',
  ],
  activities: [
    'src/domain',
    'src/cell',
    'src/gateway',
    'src/git',
    'src/journal',
    'src/opencode',
    'src/templates',
    'activities/contract.ts',
  ],

  'workflows/messages.ts': ['src/domain'],
  workflows: ['src/domain', 'src/telemetry/metrics.ts', 'activities/contract.ts', 'workflows/messages.ts'],

  'src/client': ['src/domain', 'src/temporal', 'workflows/messages.ts', 'activities/contract.ts'],
  'src/client.ts': ['src/domain', 'src/temporal', 'src/client', 'workflows/messages.ts'],

  // Small, and without the Temporal SDK: it outlives workers.
  'src/supervisor': ['src/domain', 'src/cell', 'src/gateway', 'src/journal', 'src/runtimes'],

  'src/worker': [
    ...base,
    'src/telemetry/metrics.ts',
    'src/cell',
    'src/files',
    'src/gateway',
    'src/git',
    'src/journal',
    'src/opencode',
    'src/providers',
    'src/runner',
    'src/runtimes',
    'src/supervisor',
  ],
  // The one file that sees every layer: it puts the worker together.
  'src/worker.ts': [
    ...base,
    'src/telemetry/metrics.ts',
    'src/cell',
    'src/git',
    'src/opencode',
    'src/runner',
    'src/runtimes',
    'src/supervisor',
    'src/worker',
    'activities',
    'workflows',
  ],

  // A face: it starts and shows, by the client and the worker; of a host's own things it asks only what `doctor`, `reap` and `logs` show.
  'src/cli': [
    ...base,
    'src/config',
    'src/scripted-model',
    'src/client',
    'src/client.ts',
    'src/worker',
    'src/worker.ts',
    'src/cell',
    'src/gateway',
    'src/git',
    'src/journal',
    'src/opencode',
    'src/runtimes',
    'src/supervisor',
  ],
};

const product = sourceFiles(['src', 'activities', 'workflows']);
const everything = [...product, ...sourceFiles(['test', 'scripts', 'bin', 'examples'])];

describe('the layers', () => {
  test('have a place for every file', () => {
    expect(product.filter(({ path }) => layerOf(path) === undefined)).toEqual([]);
  });

  test('import only what stands below them', () => {
    expect(product.flatMap(upwardImports)).toEqual([]);
  });
});

describe('the product', () => {
  test('reads the environment of its process in one place', () => {
    // What a child process inherits is chosen where it is started, and git is started here.
    const allowed = ['src/config.ts', 'src/git/run-git.ts', 'src/git/mirror.ts'];
    expect(pathsOf(product, /process\.env\b/).filter((path) => !allowed.includes(path))).toEqual([]);
  });

  test('starts git in one place, where the configuration of the user and of the agent is kept out of it', () => {
    // As a word of its own, by a path, or at the beginning of a command for a shell.
    const startsGit = /from 'simple-git'|(['"])(?:[\w/]*\/)?git\1|(?:execa|spawn|exec|execFile)\w*[(`]\s*['"`]?git /;
    // The doctor asks for `git --version`, in no repository; and whether an image has it is seen by its name.
    const allowed = ['src/git/run-git.ts', 'src/cli/doctor/host-checks.ts', 'src/runtimes/docker/try-image.ts'];
    expect(pathsOf(product, startsGit).filter((path) => !allowed.includes(path))).toEqual([]);
  });
});

test('no file is longer than 300 lines', () => {
  const long = everything.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
  expect(long.filter(({ lines }) => lines > 300)).toEqual([]);
});

function upwardImports({ path, imports }: SourceFile): string[] {
  const from = layerOf(path) ?? path;
  return imports
    .map((imported) => ({ imported, to: layerOf(imported) ?? imported }))
    .filter(({ to }) => to !== from && !mayImport[from]?.includes(to))
    .map(({ imported }) => `${path} imports ${imported}`);
}

function layerOf(path: string): string | undefined {
  const layers = Object.keys(mayImport).filter((layer) => path === layer || path.startsWith(`${layer}/`));
  return layers.toSorted((one, other) => other.length - one.length)[0];
}

const pathsOf = (files: readonly SourceFile[], pattern: RegExp): string[] =>
  files.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
