import { upsertSearchAttributes } from '@temporalio/workflow';
import type { Fault } from '../src/domain/fault.ts';
import { type CellReport, noTests, noTokens } from '../src/domain/outcome.ts';
import { searchAttributes } from '../src/domain/search-attributes.ts';
import { version } from '../src/domain/version.ts';
import { recordMetrics } from './cell-metrics.ts';
import type { Ending } from './ending.ts';
import { conclude } from './report.ts';

/** Fails the workflow of an input that is no request: found, counted and reported like any other cell that failed. */
export function refuse(input: unknown, { field, message }: Fault): never {
  const ending = { kind: 'failure', type: 'InvalidCellRequest', reason: message } as const satisfies Ending;
  const report: CellReport = {
    reason: message,
    field,
    agentId: idIn(input, 'agentId'),
    taskId: idIn(input, 'taskId'),
    cellId: null,
    host: null,
    runtime: null,
    baseCommit: null,
    filesModified: [],
    tests: noTests,
    tokens: noTokens,
    cost: null,
    protectedPathsTouched: [],
    summary: '',
    versions: { agentCells: version, opencode: null },
    metrics: { queueMs: 0, spawnMs: 0, executionMs: 0, testMs: 0, commitMs: 0, teardownMs: 0, totalMs: 0 },
    respawns: 0,
  };
  upsertSearchAttributes([{ key: searchAttributes.status, value: ending.type }]);
  recordMetrics(ending, report, 'none');
  return conclude(ending, report);
}

/** What the caller called it, as far as it can be told. */
function idIn(input: unknown, name: 'agentId' | 'taskId'): string {
  const value = typeof input === 'object' && input !== null && name in input ? Reflect.get(input, name) : '';
  return typeof value === 'string' ? value.slice(0, 63) : '';
}
