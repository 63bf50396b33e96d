import type { CellHost } from '../src/cell/host.ts';
import { teardownCell } from '../src/cell/teardown.ts';
import type { HostActivities, TeardownInput, TeardownReport } from './contract.ts';
import { withHeartbeat } from './heartbeat.ts';

/** Releases all that the cell owns. Succeeds on what is already gone. */
export const createTeardownCell =
  (host: CellHost): HostActivities['teardownCell'] =>
  ({ cellId }: TeardownInput): Promise<TeardownReport> =>
    withHeartbeat(() => teardownCell(host, cellId));
