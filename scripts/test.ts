/**
 * Runs the checks and the test suites, one after the other whatever fails, and sums them up.
 * `scripts/test.ts` runs all; `scripts/test.ts lint unit` runs those that are named. The last line is `N passed, N failed, N skipped`.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import Table from 'cli-table3';
import { execa } from 'execa';
import colors from 'picocolors';
import prettyMilliseconds from 'pretty-ms';
import * as v from 'valibot';
import { abortAtSignals } from '../src/cli/abort-at-signals.ts';
import { UserError } from '../src/domain/user-error.ts';
import { findTemporal } from '../src/temporal/find-temporal.ts';
import { endRun } from '../test/support/end-run.ts';
import { runMarker } from '../test/support/run.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Outcome extends Counts {
  /** What failed, each with what it said: for whoever sees only the end of the output. */
  failures: string[];
}

interface Summary extends Outcome {
  name: string;
  durationMs: number;
}

const linted = ['activities', 'workflows', 'src', 'test', 'scripts', 'examples', 'bin', 'vitest.config.ts'];

/** Each counts as one test. */
const checks: Readonly<Record<string, readonly [string, ...string[]]>> = {
  fmt: ['oxfmt', '--check'],
  lint: ['oxlint', '--deny-warnings', ...linted],
  types: ['tsc', '-p', 'tsconfig.json'],
  'types-workflows': ['tsc', '-p', 'workflows/tsconfig.json'],
  knip: ['knip'],
};

/** A run of a project of vitest's, or of a part of it. */
interface Suite {
  project: string;
  /** Default: all of the project's files. */
  files?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

const inBubblewrap = { AGENT_CELLS_TEST_RUNTIME: 'bubblewrap' } as const;

const befallsCells = [
  'boot-failure',
  'cancel',
  'commit',
  'disk',
  'failures-host',
  'idempotence',
  'isolation',
  'life',
  'messages',
  'reaper',
  'recovery',
  'stop',
  'teardown',
  'temporal-lost',
];

const suites: Readonly<Record<string, Suite>> = {
  unit: { project: 'unit' },
  integration: { project: 'integration' },
  // What befalls whole cells, once more in cells that are confined; the rest of the suite is not about a runtime, or names its own.
  'integration-bubblewrap': {
    project: 'integration',
    files: befallsCells.map((name) => `cells/${name}.test.ts`),
    env: inBubblewrap,
  },
  hostile: { project: 'hostile' },
  replay: { project: 'replay' },
  e2e: { project: 'e2e' },
  // Steps alternate: what is struck at one step in plain cells is struck at the next in confined ones.
  chaos: { project: 'chaos', env: { AGENT_CELLS_CHAOS_HALF: 'first' } },
  'chaos-bubblewrap': { project: 'chaos', env: { AGENT_CELLS_CHAOS_HALF: 'second', ...inBubblewrap } },
};

/** What of vitest's JSON report is summed. */
const report = v.object({
  numPassedTests: v.number(),
  numFailedTests: v.number(),
  numPendingTests: v.number(),
  numTodoTests: v.number(),
  testResults: v.array(
    v.object({
      name: v.string(),
      message: v.string(),
      assertionResults: v.array(
        v.object({ fullName: v.string(), status: v.string(), failureMessages: v.nullish(v.array(v.string()), []) }),
      ),
    }),
  ),
});

/** Of what a failed test said, this many characters are shown. */
const shownOfFailure = 2_000;

process.exitCode = await main(process.argv.slice(2), abortAtSignals('SIGINT', 'SIGTERM', 'SIGHUP'));

async function main(named: readonly string[], signal: AbortSignal): Promise<number> {
  const known = [...Object.keys(checks), ...Object.keys(suites)];
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; there are ${known.join(', ')}`);
    return 2;
  }
  const wanted = named.length === 0 ? known : named;
  if (wanted.some((name) => name in suites && name !== 'unit') && !(await hasTemporal(signal))) return 1;
  const summaries: Summary[] = [];
  for (const name of wanted) {
    if (signal.aborted) break;
    console.log(`\n${colors.bold(`▶ ${name}`)}`);
    const started = performance.now();
    const outcome = await run(name, signal);
    summaries.push({ name, ...outcome, durationMs: performance.now() - started });
  }
  const failed = print(summaries) > 0;
  return failed || signal.aborted ? 1 : 0;
}

/** Found, or built, before the first test: so that it is not a test's time that a build takes. */
async function hasTemporal(signal: AbortSignal): Promise<boolean> {
  try {
    await findTemporal({ address: process.env['TEMPORAL_ADDRESS'], onStep: (line) => console.log(line), signal });
    return true;
  } catch (error) {
    console.error(error instanceof UserError ? `${error.message}\n${error.try}` : error);
    return false;
  }
}

async function run(name: string, signal: AbortSignal): Promise<Outcome> {
  const [check, suite] = [checks[name], suites[name]];
  if (check !== undefined) return await runCheck(check, signal);
  if (suite === undefined) throw new Error(`no such suite: ${name}`);
  return await runSuite(name, suite, signal);
}

async function runCheck(
  [tool, ...toolArguments]: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<Outcome> {
  const failed = await fails(tool, toolArguments, {}, signal);
  return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: 0, failures: [] };
}

async function runSuite(name: string, { project, files = [], env = {} }: Suite, signal: AbortSignal): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), 'agent-cells-report-'));
  try {
    const file = join(directory, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const marked = { ...env, [runMarker]: randomBytes(4).toString('hex') };
    const failed = await fails('vitest', ['run', '--project', project, ...reporters, ...files], marked, signal);
    if (signal.aborted) await endRun(marked[runMarker]);
    const outcome = await outcomeOf(file);
    if (!failed || outcome.failed > 0) return outcome;
    return {
      ...outcome,
      failed: 1,
      failures: [
        ...outcome.failures,
        `${name}: no test failed, but an error outside of one, or something was left on the machine`,
      ],
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function fails(
  tool: string,
  toolArguments: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<boolean> {
  const subprocess = execa(tool, toolArguments, {
    env,
    preferLocal: true,
    stdio: 'inherit',
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: 60_000,
  });
  return (await subprocess).failed;
}

async function outcomeOf(file: string): Promise<Outcome> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null)
    return { passed: 0, failed: 1, skipped: 0, failures: ['the suite ended before it made its report'] };
  const read = v.parse(report, JSON.parse(text));
  return {
    passed: read.numPassedTests,
    failed: read.numFailedTests,
    skipped: read.numPendingTests + read.numTodoTests,
    failures: read.testResults.flatMap(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter(({ status }) => status === 'failed');
      const said = failed.map(({ fullName, failureMessages }) => `${fullName}\n${failureMessages.join('\n')}`);
      return [...said, ...(message === '' ? [] : [message])].map((line) =>
        `${relative(process.cwd(), name)} › ${line}`.slice(0, shownOfFailure),
      );
    }),
  };
}

/** @returns how many failed. */
function print(summaries: readonly Summary[]): number {
  const table = new Table({ head: ['', 'passed', 'failed', 'skipped', 'time'], style: { head: [], border: [] } });
  for (const { name, passed, failed, skipped, durationMs } of summaries) {
    const mark = failed > 0 ? colors.red(`✗ ${name}`) : colors.green(`✓ ${name}`);
    table.push([mark, passed, failed, skipped, prettyMilliseconds(durationMs, { secondsDecimalDigits: 0 })]);
  }
  const sum = (key: keyof Counts) => summaries.reduce((total, summary) => total + summary[key], 0);
  for (const failure of summaries.flatMap(({ failures }) => failures)) console.log(`\n${colors.red('✗')} ${failure}`);
  console.log(`\n${table.toString()}`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  return sum('failed');
}
