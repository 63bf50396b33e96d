import { CancellationScope, allHandlersFinished, condition, upsertMemo, workflowInfo } from '@temporalio/workflow';
import type { CellResult } from '../src/domain/outcome.ts';
import { type ParsedCellRequest, parseCellRequest } from '../src/domain/request.ts';
import { type HostSteps, anyHost, onHost } from './activity-proxies.ts';
import { type CellRecord, enter, openRecord, publish, recordUsage } from './cell-record.ts';
import { recordMetrics } from './cell-metrics.ts';
import { developAndTest } from './develop.ts';
import { type Ending, endingOf } from './ending.ts';
import { openInbox } from './inbox.ts';
import type { Life } from './life.ts';
import { refuse } from './refuse.ts';
import { conclude, reportOf } from './report.ts';
import { createStoppable } from './stop.ts';

/**
 * One agent's whole life: claim a host, spawn, execute, test and repair, commit or revert, teardown.
 *
 * @param input A `CellRequest`; it is parsed here, for a start from another language has passed none of our code.
 * @returns The verdict on the work.
 * @throws ApplicationFailure one of the failure types when there is no verdict; its first detail is the report so far.
 */
export async function agentCell(input: unknown): Promise<CellResult> {
  const life = openLife(requestOf(input));
  const ending = await live(life);
  publish(
    life.record,
    ending.kind === 'verdict' ? ending.status : ending.kind === 'failure' ? ending.type : 'cancelled',
  );
  const report = reportOf(life.record, life.work, ending.kind === 'cancelled' ? 'cancelled' : ending.reason);
  recordMetrics(ending, report, life.record.claimed?.model ?? 'none');
  // A cancellation that comes after the verdict changes nothing: the work is on its branch.
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return conclude(ending, report);
}

function requestOf(input: unknown): ParsedCellRequest {
  const parsed = parseCellRequest(input);
  if (parsed.ok) return parsed.request;
  return refuse(input, parsed);
}

function openLife(request: ParsedCellRequest): Life {
  const { workflowId, runId } = workflowInfo();
  const record = openRecord(request);
  const stoppable = createStoppable();
  if (Object.keys(request.labels).length > 0) upsertMemo({ labels: request.labels });
  return {
    owner: { workflowId, runId, agentId: request.agentId, taskId: request.taskId, respawn: 0 },
    request,
    record,
    stoppable,
    inbox: openInbox(record, stoppable),
    work: { committed: null, reverted: null },
  };
}

/** From the claim to the end of the teardown, which is never skipped and never cancelled. */
async function live(life: Life): Promise<Ending> {
  const { record, stoppable } = life;
  try {
    const claimed = await stoppable.run(() =>
      anyHost(life.request.queueTimeout, life.request.priority).claimHost(claimOf(life)),
    );
    record.claimed = claimed;
  } catch (error) {
    const ending = endingOf(error, stoppable.reason, record.step);
    enter(record, 'terminating', record.step);
    enter(record, 'terminated', record.step);
    return ending;
  }
  return liveOn(onHost(record.claimed.taskQueue), life);
}

async function liveOn(host: HostSteps, life: Life): Promise<Ending> {
  const { record, stoppable } = life;
  let ending: Ending;
  try {
    ending = await stoppable.run(() => spawnAndWork(host, life));
  } catch (error) {
    ending = endingOf(error, stoppable.reason, record.step);
    if (ending.kind === 'failure' && ending.usage) recordUsage(record, ending.usage);
  }
  life.inbox.close();
  return CancellationScope.nonCancellable(async () => {
    const settled = await revertUnlessDone(host, life, ending);
    await tearDown(host, life);
    return settled;
  });
}

function claimOf(life: Life) {
  return { owner: life.owner, request: { ...life.request, prompt: '' } };
}

async function spawnAndWork(host: HostSteps, life: Life): Promise<Ending> {
  const { owner, record, request, stoppable } = life;
  if (record.claimed === null) throw new TypeError('a cell is spawned after its claim');
  enter(record, 'initialising', 'spawn');
  stoppable.startClock(Date.now() + request.timeout);
  publish(record);
  record.spawned = await host.spawn({ owner, cellId: record.claimed.cellId, request: { ...request, prompt: '' } });
  enter(record, 'ready', 'spawn');
  return developAndTest(host, life);
}

/** Work that was not committed is kept under a ref, and the worktree goes back to its base. */
async function revertUnlessDone(host: HostSteps, life: Life, ending: Ending): Promise<Ending> {
  const { record, work } = life;
  const failed = ending.kind === 'failure';
  if (failed && record.lifecycle !== 'terminating') fail(record);
  if (record.spawned === null || work.committed || (ending.kind === 'verdict' && ending.status === 'unchanged'))
    return ending;
  enter(record, 'terminating', 'revert');
  publish(record);
  try {
    work.reverted = await host.revert({ cellId: record.spawned.cellId, reason: reasonOf(ending) });
    if (work.reverted.usage) recordUsage(record, work.reverted.usage);
    return ending;
  } catch (error) {
    // A verdict of `reverted` says that the worktree is its base again: without that there is no verdict.
    return ending.kind === 'verdict' ? endingOf(error, null, 'revert') : ending;
  }
}

function fail(record: CellRecord): void {
  if (record.lifecycle === 'ready' || record.lifecycle === 'processing') enter(record, 'error', record.step);
  enter(record, 'failed', record.step);
}

const reasonOf = (ending: Ending): string => (ending.kind === 'cancelled' ? 'cancelled' : ending.reason);

/** Best effort by design: what a lost host keeps, its own reaper releases. */
async function tearDown(host: HostSteps, life: Life): Promise<void> {
  const { record } = life;
  enter(record, 'terminating', 'teardown');
  publish(record);
  try {
    if (record.claimed) await host.teardown({ cellId: record.claimed.cellId });
  } catch (error) {
    life.inbox.note(`teardown: ${error instanceof Error ? error.message : String(error)}`);
  }
  enter(record, 'terminated', 'teardown');
}
