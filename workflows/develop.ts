import { condition, patched, sleep } from '@temporalio/workflow';
import type { ExecuteReport, TestReport } from '../activities/contract.ts';
import type { HostSteps } from './activity-proxies.ts';
import type { Life } from './life.ts';
import { budgetOfCell, enter, publish, recordUsage } from './cell-record.ts';
import { type Ending, endingOf } from './ending.ts';

/** Lets the agent work, tests what it made, gives it the failing output as often as the request allows, and commits. */
export async function developAndTest(host: HostSteps, life: Life): Promise<Ending> {
  const { request } = life;
  let text = request.prompt;
  for (let round = 0; ; round += 1) {
    const overspent = await execute(host, life, round, text);
    if (overspent) return overspent;
    const report = await test(host, life, round);
    if (report?.changed === false) return unchanged;
    if (report === null || report.outcome === 'passed') return commit(host, life, report);
    if (round >= request.maxRepairs) return testsFailed(report, round + 1);
    text = repairPrompt(request.testCommand ?? '', report);
  }
}

const unchanged: Ending = { kind: 'verdict', status: 'unchanged', reason: 'the agent changed nothing' };

function testsFailed(report: TestReport, runs: number): Ending {
  const how = report.exitCode === null ? 'were ended' : `failed with exit code ${report.exitCode}`;
  return {
    kind: 'verdict',
    status: 'reverted',
    reason: `the tests ${how} after ${runs} ${runs === 1 ? 'run' : 'runs'}`,
  };
}

/** Answers an ending when the budget is spent. Instructions that arrive meanwhile belong to the same round. */
async function execute(host: HostSteps, life: Life, round: number, text: string): Promise<Ending | null> {
  const { record, inbox } = life;
  enter(record, 'processing', round === 0 ? 'execute' : 'repair');
  publish(record);
  let taken: number;
  do {
    taken = inbox.open(host);
    const report = await executeOrRevive(host, life, round, text);
    recordUsage(record, report.usage);
    await condition(() => inbox.pending() === 0);
    if (report.kind === 'budget-spent' && record.tokens.total >= record.tokenBudget) return overspent(life);
    if (report.kind === 'budget-spent') taken = -1;
  } while (inbox.taken() !== taken);
  inbox.shut();
  return null;
}

/** How often the server of a cell is replaced in one round, and how long to wait before, milliseconds. */
const revivals = [1_000, 4_000, 15_000];

/**
 * A server that ends or hangs is replaced on the same worktree, with the same session: the agent goes on where it was,
 * and the budget and the deadline go on counting. What cannot be replaced is lost.
 */
async function executeOrRevive(host: HostSteps, life: Life, round: number, text: string): Promise<ExecuteReport> {
  const { record, request, owner } = life;
  const cellId = cellIdOf(life);
  for (const wait of revivals) {
    try {
      return await host.execute({ cellId, round, text, tokenBudget: budgetOfCell(record) });
    } catch (error) {
      const { step } = record;
      const ending = endingOf(error, null, step);
      if (ending.kind !== 'failure' || ending.lost !== 'cell' || !patched('recover')) throw error;
      if (ending.usage) recordUsage(record, ending.usage);
      enter(record, 'error', step);
      enter(record, 'recovering', step);
      publish(record);
      await sleep(wait, { summary: 'recover: wait before the server is replaced' });
      record.spawned = await host.revive({ owner, cellId, request: { ...request, prompt: '' } });
      record.attempt += 1;
      enter(record, 'ready', step);
      enter(record, 'processing', step);
      publish(record);
    }
  }
  return host.execute({ cellId, round, text, tokenBudget: budgetOfCell(record) });
}

function overspent({ record }: Life): Ending {
  const reason = `the agent used ${record.tokens.total} tokens; its budget is ${record.tokenBudget}`;
  return { kind: 'failure', type: 'TokenBudgetExceeded', reason };
}

/** Answers null when there is no test command: the step is skipped, and said to be skipped. */
async function test(host: HostSteps, life: Life, round: number): Promise<TestReport | null> {
  const { record, request } = life;
  enter(record, 'ready', 'test');
  if (request.testCommand === undefined) return null;
  publish(record);
  const report = await host.test({
    cellId: cellIdOf(life),
    round,
    command: request.testCommand,
    timeoutMs: request.testTimeout,
    env: request.env,
    protectedPaths: request.protectedPaths,
  });
  const { outcome, exitCode, durationMs, outputTail } = report;
  const rounds = record.tests.rounds + (outcome === 'skipped' ? 0 : 1);
  record.tests = { outcome, exitCode, durationMs: record.tests.durationMs + durationMs, rounds, outputTail };
  touch(life, report.protectedPathsTouched);
  return report;
}

async function commit(host: HostSteps, life: Life, report: TestReport | null): Promise<Ending> {
  const { record, request } = life;
  enter(record, 'terminating', 'commit');
  publish(record);
  const committed = await host.commit({
    cellId: cellIdOf(life),
    tree: report?.tree ?? null,
    protectedPaths: request.protectedPaths,
    commitMessage: request.commitMessage ?? null,
    summary: record.summary,
    tokens: record.tokens,
  });
  touch(life, committed.protectedPathsTouched);
  if (committed.kind === 'unchanged') return unchanged;
  life.work.committed = committed;
  const tested = report === null ? 'no test command was given' : 'the tests passed';
  return { kind: 'verdict', status: 'committed', reason: tested };
}

function touch({ record }: Life, paths: readonly string[]): void {
  record.protectedPathsTouched = [...new Set([...record.protectedPathsTouched, ...paths])].toSorted();
}

function cellIdOf({ record }: Life): string {
  if (record.claimed === null) throw new TypeError('a cell has an id after its claim');
  return record.claimed.cellId;
}

function repairPrompt(command: string, report: TestReport): string {
  const ended = report.exitCode === null ? 'was ended before it finished' : `failed with exit code ${report.exitCode}`;
  return [
    `The test command \`${command}\` ${ended}. This is the end of its output:`,
    '',
    report.outputTail,
    '',
    'Find the cause and mend it. Do not change the tests to make them pass.',
  ].join('\n');
}
