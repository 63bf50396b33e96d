/**
 * The public API: start, watch, list and end cells from TypeScript. Programs in other languages use Temporal's client of
 * their language and the same names.
 *
 * @example
 * await using temporal = await connectTemporal();
 * const cell = await startCell(temporal.client, { taskId: 'fix-login', agentId: 'a1', prompt: 'Make the tests pass' });
 * const result = await cell.result();
 */
export type { Extended, ExtendInput } from '../workflows/messages.ts';
export type { ClaimQueue, KnownHost } from './client/claim-queue.ts';
export { describeCell, outcomeOf, type CellOutcome, type DescribedCell } from './client/describe.ts';
export { CellFailure, type CellFailureType } from './client/failure.ts';
export { listCells, listStatuses, type ListedCell, type ListFilter, type ListStatus } from './client/list.ts';
export { abortCell, cancelCell, extendCell, promptCell } from './client/messages.ts';
export type { PendingStep } from './client/pending.ts';
export { openCell, startCell, type AgentCell, type CellHandle } from './client/start.ts';
export { cellState, watchCell, type WatchedCell, type WatchOptions } from './client/watch.ts';
export { failures, type FailureMeaning, type FailureType } from './domain/failures.ts';
export type { Lifecycle, Step, Transition } from './domain/lifecycle.ts';
export { workflowIdOf } from './domain/names.ts';
export type {
  CellMetrics,
  CellReport,
  CellResult,
  CellState,
  CellStatus,
  FileChange,
  TestSummary,
  TokenUsage,
} from './domain/outcome.ts';
export { parseCellRequest, type CellRequest, type IsolationName, type ParsedCellRequest } from './domain/request.ts';
export { UserError, type UserErrorCode } from './domain/user-error.ts';
export {
  connectTemporal,
  temporalTarget,
  type TemporalConnection,
  type TemporalTarget,
} from './temporal/connection.ts';
