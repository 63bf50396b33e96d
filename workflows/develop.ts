import { CancellationScope, condition } from '@temporalio/workflow';
import type { ExecuteReport, TestReport, TouchedPaths } from '../activities/contract.ts';
import { namedProtectedPaths } from '../src/domain/named-paths.ts';
import type { HostSteps } from './activity-proxies.ts';
import type { Life } from './life.ts';
import { type CellRecord, budgetOfCell, cellIdOf, enter, publish, recordUsage } from './cell-record.ts';
import type { Ending } from './ending.ts';
import { longerTime, moreMemory } from './escalation.ts';
import { recycle } from './recycle.ts';
import { executeOrRevive } from './revive.ts';

/** Lets the agent work, tests what it made, gives it the failing output as often as the request allows, and commits. */
export async function developAndTest(host: HostSteps, life: Life): Promise<Ending> {
  const { request } = life;
  let text = request.prompt;
  let why: string | undefined;
  for (let round = 0; ; round += 1) {
    const overspent = await execute(host, life, { round, text, why });
    if (overspent) return overspent;
    if (request.testCommand !== undefined) await recycle(host, life, round, 'test');
    const report = await test(host, life, round);
    if (report?.changed === false) return unchanged;
    if (report === null || report.outcome === 'passed') return commit(host, life, report);
    if (round >= request.maxRepairs) return testsFailed(report, round + 1);
    text = repairPrompt(request.testCommand ?? '', report);
    await recycle(host, life, round + 1, 'repair');
    why = `the tests ${howTheyFailed(report)}`;
  }
}

const unchanged: Ending = { kind: 'verdict', status: 'unchanged', reason: 'the agent changed nothing' };

function testsFailed(report: TestReport, runs: number): Ending {
  const after = `after ${runs} ${runs === 1 ? 'run' : 'runs'}`;
  return { kind: 'verdict', status: 'reverted', reason: `the tests ${howTheyFailed(report)} ${after}` };
}

function howTheyFailed({ exitCode, timedOut, outOfMemory }: TestReport): string {
  if (timedOut) return 'reached their timeout';
  if (outOfMemory) return 'ran out of memory';
  return exitCode === null ? 'were ended' : `failed with exit code ${exitCode}`;
}

/** One prompt of the cell: the request's, or a failing test's output. */
interface Assignment {
  round: number;
  text: string;
  /** Why there is another round. */
  why: string | undefined;
}

/** Answers an ending when the budget is spent. Instructions that arrive meanwhile belong to the same round. */
async function execute(host: HostSteps, life: Life, assignment: Assignment): Promise<Ending | null> {
  const { record, inbox } = life;
  enter(record, 'processing', assignment.round === 0 ? 'execute' : 'repair', assignment.why);
  publish(record);
  let taken: number;
  do {
    taken = inbox.open(host);
    const report = await executeOrRevive(host, life, assignment);
    recordUsage(record, report.usage);
    record.outgrown = report.outgrown ?? null;
    await condition(() => inbox.pending() === 0);
    if (report.kind === 'budget-spent' && isSpent(life, report)) return overspent(life);
    if (report.kind === 'budget-spent') taken = -1;
  } while (inbox.taken() !== taken);
  inbox.shut();
  return null;
}

/** It may have been raised since. */
function isSpent({ record }: Life, { refusedAt }: ExecuteReport): boolean {
  if (record.tokens.total >= record.tokenBudget) return true;
  return refusedAt !== undefined && budgetOfCell(record) <= refusedAt;
}

function overspent({ record }: Life): Ending {
  const room = record.tokens.total < record.tokenBudget ? ', which has no room for another request' : '';
  const reason = `the agent used ${record.tokens.total} tokens; its budget is ${record.tokenBudget}${room}`;
  return { kind: 'failure', type: 'TokenBudgetExceeded', reason };
}

/** Answers null when there is no test command: the step is skipped, and said to be skipped. */
async function test(host: HostSteps, life: Life, round: number): Promise<TestReport | null> {
  const { record, request } = life;
  const { testTimeout } = record;
  const longer =
    testTimeout > request.testTimeout ? `a run of the tests may now take ${testTimeout / 1000} seconds` : '';
  enter(record, 'ready', 'test', longer);
  if (request.testCommand === undefined) return null;
  publish(record);
  const report = await host.test({
    cellId: cellIdOf(life.record),
    round,
    command: request.testCommand,
    timeoutMs: testTimeout,
    env: request.env,
    protectedPaths: request.protectedPaths,
  });
  const { outcome, exitCode, durationMs, outputTail } = report;
  const rounds = record.tests.rounds + (outcome === 'skipped' ? 0 : 1);
  record.tests = { outcome, exitCode, durationMs: record.tests.durationMs + durationMs, rounds, outputTail };
  if (report.timedOut) record.testTimeout = longerTime(testTimeout);
  record.outgrown = report.outgrown ?? null;
  if (outcome === 'failed' && report.outOfMemory) giveMemory(record);
  touch(life, report);
  return report;
}

/** Once in the life of a cell. The limit is that of all its processes, so another server comes with it. */
function giveMemory(record: CellRecord): void {
  if (record.memory > 1) return;
  record.memory = moreMemory(record.memory);
  record.outgrown = `the tests ran out of memory, and the cell may use ${record.memory} times its memory limit`;
}

async function commit(host: HostSteps, life: Life, report: TestReport | null): Promise<Ending> {
  const { record, request } = life;
  enter(record, 'terminating', 'commit');
  publish(record);
  const step = () =>
    host.commit({
      cellId: cellIdOf(record),
      tree: report?.tree ?? null,
      protectedPaths: request.protectedPaths,
      commitMessage: request.commitMessage ?? null,
      summary: record.summary,
      tokens: record.tokens,
    });
  const committed = await (record.claimed?.finishesCommits ? toItsEnd(step) : step());
  touch(life, committed);
  if (committed.kind === 'unchanged') return unchanged;
  life.work.committed = committed;
  const tested = report === null ? 'no test command was given' : 'the tests passed';
  return { kind: 'verdict', status: 'committed', reason: tested };
}

/** Begins what is then not cancelled any more. */
async function toItsEnd<Result>(step: () => Promise<Result>): Promise<Result> {
  const scope = CancellationScope.current();
  if (scope.consideredCancelled) await scope.cancelRequested;
  return await CancellationScope.nonCancellable(step);
}

/** What was left out of one round may be what was left out of another: of them the most is known. */
function touch({ record }: Life, { protectedPathsTouched, protectedPathsLeftOut = 0 }: TouchedPaths): void {
  const all = [...new Set([...record.protectedPathsTouched, ...protectedPathsTouched])].toSorted();
  const named = namedProtectedPaths(all);
  record.protectedPathsTouched = named.protectedPathsTouched;
  const leftOut = Math.max(record.protectedPathsLeftOut, protectedPathsLeftOut, named.protectedPathsLeftOut ?? 0);
  record.protectedPathsLeftOut = leftOut;
}

function repairPrompt(command: string, report: TestReport): string {
  const ended = report.exitCode === null ? 'was ended before it finished' : `failed with exit code ${report.exitCode}`;
  const why = report.outOfMemory ? ', since it used more memory than it may' : '';
  return [
    `The test command \`${command}\` ${ended}${why}. This is the end of its output:`,
    '',
    report.outputTail,
    '',
    'Find the cause and mend it. Do not change the tests to make them pass.',
  ].join('\n');
}
