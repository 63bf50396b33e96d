import { outgrown } from '../src/cell/outgrown.ts';
import { testCell } from '../src/cell/test-cell.ts';
import type { CellHost } from '../src/cell/host.ts';
import type { HostActivities, RunTestsInput, TestReport } from './contract.ts';
import { stepFailure } from './step-failure.ts';
import { untilHostCloses } from './until-host-closes.ts';

/** Writes the tree, and runs the test command on it where the agent ran. */
export const createRunTests =
  (host: CellHost): HostActivities['runTests'] =>
  (input: RunTestsInput): Promise<TestReport> =>
    untilHostCloses(host, input, async (signal) => {
      const report = await testCell(host, input, signal).catch((error: unknown) => stepFailure(error, 'CommitFailed'));
      const large = report.outcome === 'failed' ? await outgrown(host, input.cellId) : null;
      return large === null ? report : { ...report, outgrown: large };
    });
