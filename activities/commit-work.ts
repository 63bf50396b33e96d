import { commitCell } from '../src/cell/commit-cell.ts';
import type { CellHost } from '../src/cell/host.ts';
import type { CommitInput, CommitReport, HostActivities } from './contract.ts';
import { withHeartbeat } from './heartbeat.ts';
import { stepFailure } from './step-failure.ts';

/** Puts the tested tree on the branch of the cell, as one commit on its base. A second run makes the same commit. */
export const createCommitWork =
  (host: CellHost): HostActivities['commitWork'] =>
  (input: CommitInput): Promise<CommitReport> =>
    withHeartbeat(() => commitCell(host, input).catch((error: unknown) => stepFailure(error, 'CommitFailed')));
