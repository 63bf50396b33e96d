import type { CellHost } from '../src/cell/host.ts';
import { revertCell } from '../src/cell/revert-cell.ts';
import type { HostActivities, RevertInput, RevertReport } from './contract.ts';
import { withHeartbeat } from './heartbeat.ts';
import { stepFailure } from './step-failure.ts';

/** Keeps the work under a ref and makes the worktree exactly its base again. */
export const createRevertWork =
  (host: CellHost): HostActivities['revertWork'] =>
  (input: RevertInput): Promise<RevertReport> =>
    withHeartbeat(() => revertCell(host, input).catch((error: unknown) => stepFailure(error, 'CommitFailed')));
