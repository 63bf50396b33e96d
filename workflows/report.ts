import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { CommitReport, RevertReport } from '../activities/contract.ts';
import { failures } from '../src/domain/failures.ts';
import type { CellReport, CellResult } from '../src/domain/outcome.ts';
import { version } from '../src/domain/version.ts';
import { type CellRecord, latestOf, metricsOf } from './cell-record.ts';
import type { Ending } from './ending.ts';

/** What the commit or the revert left behind. */
export interface Work {
  committed: Extract<CommitReport, { kind: 'committed' }> | null;
  reverted: RevertReport | null;
}

/** Puts together what is known of a cell that has ended. */
export function reportOf(record: CellRecord, work: Work, reason: string): CellReport {
  const { committed, reverted } = work;
  const { claimed, spawned } = latestOf(record);
  const revertedRef = reverted?.revertedRef ?? (committed ? null : record.keptEarlier);
  const { filesModified = [], filesLeftOut } = committed ?? reverted ?? {};
  return {
    reason,
    agentId: record.request.agentId,
    taskId: record.request.taskId,
    cellId: claimed?.cellId ?? null,
    host: claimed?.host ?? null,
    runtime: claimed?.runtime ?? null,
    baseCommit: spawned?.baseCommit ?? null,
    ...(committed ? { branch: committed.branch, commit: committed.commit } : {}),
    ...(revertedRef === null ? {} : { revertedRef }),
    filesModified,
    ...(filesLeftOut === undefined ? {} : { filesLeftOut }),
    tests: record.tests,
    tokens: record.tokens,
    cost: record.cost,
    protectedPathsTouched: record.protectedPathsTouched,
    ...(record.protectedPathsLeftOut > 0 ? { protectedPathsLeftOut: record.protectedPathsLeftOut } : {}),
    summary: record.summary,
    versions: spawned?.versions ?? { agentCells: version, opencode: null },
    metrics: metricsOf(record),
    respawns: record.respawns,
  };
}

/** Completes the workflow with its verdict, or fails it with the typed failure whose first detail is the report. */
export function conclude(ending: Exclude<Ending, { kind: 'verdict' }>, report: CellReport): never;
export function conclude(ending: Ending, report: CellReport): CellResult;
export function conclude(ending: Ending, report: CellReport): CellResult {
  switch (ending.kind) {
    case 'verdict':
      return { status: ending.status, ...report };
    case 'failure':
      throw ApplicationFailure.create({
        type: ending.type,
        message: ending.reason,
        nonRetryable: !failures[ending.type].retryable,
        details: [report],
        category: ApplicationFailureCategory.BENIGN,
        ...(ending.cause ? { cause: ending.cause } : {}),
      });
    case 'cancelled':
      throw ending.error;
  }
}
