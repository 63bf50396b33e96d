import {
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  isCancellation,
  patched,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { CellResult } from '../src/domain/outcome.ts';
import { type ParsedCellRequest, parseCellRequest } from '../src/domain/request.ts';
import { type HostSteps, anyHost, onHost } from './activity-proxies.ts';
import {
  type CellRecord,
  beginRespawn,
  cellIdOf,
  enter,
  latestOf,
  memoryOf,
  openRecord,
  publish,
  recordUsage,
} from './cell-record.ts';
import { countRespawn, countSpawn, recordMetrics } from './cell-metrics.ts';
import { developAndTest } from './develop.ts';
import { type Ending, endingOf } from './ending.ts';
import { openInbox } from './inbox.ts';
import type { Life } from './life.ts';
import { refuse } from './refuse.ts';
import { conclude, reportOf } from './report.ts';
import { hasSpentMemory } from './revive.ts';
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
  recordMetrics(ending, report, latestOf(life.record).claimed?.model ?? 'none');
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

/** How often a cell is made anew, and how long to wait before, milliseconds. */
const respawns = [1_000, 5_000];

/** From the claim to the end of the teardown. A cell that is lost with its host, or on it, is made anew from its base. */
async function live(life: Life): Promise<Ending> {
  const { record, stoppable } = life;
  for (;;) {
    let ending: Ending;
    try {
      ending = await liveOnce(life);
    } catch (error) {
      ending = unlessCancelled(endingOf(error, stoppable.reason, record.step));
      enter(record, 'terminating', record.step);
      enter(record, 'terminated', record.step);
      return ending;
    }
    if (record.lifecycle === 'terminated') return ending;
    beginRespawn(record);
    life.owner.respawn = record.respawns;
  }
}

/** One cell, from its claim to the end of its teardown, which is never skipped and never cancelled. */
async function liveOnce(life: Life): Promise<Ending> {
  const { record, request, stoppable } = life;
  record.claimed = await stoppable.run(async () => {
    // Of a cell that is made anew the clock runs on, also while it waits for a host.
    if (stoppable.deadline !== null) stoppable.startClock(stoppable.deadline);
    return anyHost(request.queueTimeout, request.priority).claimHost(claimOf(life));
  });
  const host = onHost(record.claimed);
  let ending: Ending;
  try {
    ending = await stoppable.run(() => spawnAndWork(host, life));
  } catch (error) {
    ending = endingOf(error, stoppable.reason, record.step);
    // Also where it was stopped: what the step says of the cell is true all the same.
    learn(life, endingOf(error, null, record.step));
  }
  const standing = await prepareRespawn(host, life, ending);
  if (standing === null) return ending;
  ending = standing;
  if (stoppable.reason !== null && ending.kind === 'failure')
    ending = endingOf(ending.cause, stoppable.reason, record.step);
  ending = unlessCancelled(ending);
  life.inbox.close();
  return CancellationScope.nonCancellable(async () => {
    const settled = await revertUnlessDone(host, life, ending);
    await tearDown(host, life);
    return settled;
  });
}

/**
 * Answers null when the cell is to be made anew, else how it ends. What a host that no longer answers still holds is released by its
 * own reaper when it comes back, and a host that ended the cell has released it; where the host answers, what is left of the lost
 * cell is torn down now.
 */
async function prepareRespawn(host: HostSteps, life: Life, ending: Ending): Promise<Ending | null> {
  const { record, stoppable } = life;
  // A cell that its host ended on purpose was not lost: it moves as often as that happens.
  const wait = respawns[ending.kind === 'failure' && ending.lost === 'closed' ? 0 : record.respawns - record.moved];
  if (ending.kind !== 'failure' || ending.lost === undefined || wait === undefined || stoppable.reason !== null)
    return ending;
  if (hasSpentMemory(ending, record)) return ending;
  if (record.lifecycle === 'terminating' || !patched('recover')) return ending;
  life.inbox.shut();
  const { step } = record;
  if (record.lifecycle !== 'recovering') enter(record, 'error', step, ending.reason);
  enter(record, 'recovering', 'queue', `the cell is made anew from its base, in ${wait / 1000} s`);
  publish(record);
  countRespawn(ending.lost);
  try {
    if (ending.lost === 'cell' && record.spawned && patched('keep-lost-work')) await keepLostWork(host, life);
    // Told before the next cell is claimed: a host that comes back ends what is no longer its own before it claims anything. From now on the
    // reaper of this one may, too.
    if (patched('respawn-in-memo')) upsertMemo({ respawn: record.respawns + 1 });
    if (ending.lost === 'cell' && record.claimed) await host.teardown({ cellId: record.claimed.cellId });
    record.released = ending.lost !== 'host';
    await stoppable.run(() => sleep(wait, { summary: 'recover: wait before the cell is made anew' }));
    if (ending.lost === 'closed') record.moved += 1;
    return null;
  } catch (error) {
    // Why a cell was stopped is known, and counts; a cancellation is known by its error alone.
    return stoppable.reason === null && isCancellation(error) ? endingOf(error, null, record.step) : ending;
  }
}

/** Takes over what a step that failed says of its cell. */
function learn({ record, stoppable }: Life, failed: Ending): void {
  if (failed.kind !== 'failure') return;
  if (failed.usage) recordUsage(record, failed.usage);
  if (failed.revertedRef !== undefined) record.keptEarlier = failed.revertedRef;
  if (failed.lost === 'closed' && stoppable.reason !== null && patched('closed-is-released')) record.released = true;
}

/** The server is gone, and was replaced as often as may be; the worktree may be there. What cannot be kept keeps the cell from nothing. */
async function keepLostWork(host: HostSteps, { record, stoppable }: Life): Promise<void> {
  try {
    const { revertedRef, usage } = await stoppable.run(() => {
      if (stoppable.deadline !== null) stoppable.startClock(stoppable.deadline);
      return host.revert({ cellId: cellIdOf(record), reason: 'the cell is made anew' });
    });
    if (usage) recordUsage(record, usage);
    if (revertedRef === null) return;
    record.keptEarlier = revertedRef;
    enter(record, 'recovering', 'queue', `its work so far is kept as ${revertedRef}`);
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}

function claimOf(life: Life) {
  return { owner: life.owner, request: { ...life.request, prompt: '' } };
}

async function spawnAndWork(host: HostSteps, life: Life): Promise<Ending> {
  const { owner, record, request, stoppable } = life;
  if (record.claimed === null) throw new TypeError('a cell is spawned after its claim');
  enter(record, record.respawns === 0 ? 'initialising' : 'recovering', 'spawn');
  stoppable.startClock(stoppable.deadline ?? Date.now() + request.timeout);
  publish(record);
  const { cellId } = record.claimed;
  record.spawned = await host.spawn({ owner, cellId, request: { ...request, prompt: '' }, ...memoryOf(record) });
  countSpawn(record.spawned.start);
  // A run that began before the memo named the respawn tells the reaper so.
  if (record.respawns > 0 && !patched('respawn-in-memo')) upsertMemo({ cellId: record.claimed.cellId });
  enter(record, 'ready', 'spawn');
  return developAndTest(host, life);
}

/**
 * What its caller has cancelled ends as cancelled, also where its worker died meanwhile: then a step ends with the error of that.
 * Why a cell was stopped is known before, and counts.
 */
function unlessCancelled(ending: Ending): Ending {
  if (ending.kind !== 'failure' || ending.type === 'CellTimedOut') return ending;
  if (!CancellationScope.current().consideredCancelled || !patched('cancelled')) return ending;
  return { kind: 'cancelled', error: new CancelledFailure('the cell was cancelled') };
}

/** Work that was not committed is kept under a ref, and the worktree goes back to its base. */
async function revertUnlessDone(host: HostSteps, life: Life, ending: Ending): Promise<Ending> {
  const { record, work } = life;
  const failed = ending.kind === 'failure';
  if (failed && record.lifecycle !== 'terminating') fail(record, ending.reason);
  if (record.spawned === null || work.committed || (ending.kind === 'verdict' && ending.status === 'unchanged'))
    return ending;
  if (record.released && patched('released')) return ending;
  enter(record, 'terminating', 'revert', reasonOf(ending));
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

function fail(record: CellRecord, reason: string): void {
  if (record.lifecycle === 'ready' || record.lifecycle === 'processing') enter(record, 'error', record.step, reason);
  enter(record, 'failed', record.step, reason);
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
