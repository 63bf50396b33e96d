import { setTimeout } from 'node:timers/promises';
import {
  abortCell,
  cancelCell,
  type CellHandle,
  cellState,
  extendCell,
  openCell,
  promptCell,
} from '../../src/client.ts';
import type { Path } from '../../test/replay/paths.ts';
import type { Fleet } from '../../test/support/fleet.ts';

/** Leads a cell along a path, as far as it needs leading, and answers its handle. */
export type Way = (fleet: Fleet) => Promise<CellHandle>;

/** The paths of a host in order. */
export const ways: Readonly<Record<Exclude<Path, CrowdedPath | StrictPath>, Way>> = {
  'committed-without-tests': (fleet) => fleet.start('edit-file', { agentId: 'untested' }),
  'committed-with-tests': (fleet) => fleet.start('edit-file', { testCommand: isRight }),
  'repaired-then-committed': (fleet) => fleet.start('repair', { testCommand: isRight }),
  reverted: (fleet) => fleet.start('never-green', { testCommand: isRight }),
  unchanged: (fleet) => fleet.start('unchanged', { testCommand: isRight }),
  'budget-exceeded': (fleet) => fleet.start('edits-endlessly', { tokenBudget: 20_000 }),
  'timed-out': (fleet) => fleet.start('slow', { agentId: 'late', timeout: '12s' }),
  'model-unavailable': (fleet) => fleet.start('unauthorized'),
  async 'cancelled-during-execute'(fleet) {
    const cell = await fleet.start('slow', { agentId: 'cancelled' });
    await untilAgentWorks(fleet, cell);
    await cancelCell(fleet.client, cell.workflowId, { reason: 'recorded' });
    return cell;
  },
  async aborted(fleet) {
    const cell = await fleet.start('slow', { agentId: 'aborted' });
    await untilAgentWorks(fleet, cell);
    await abortCell(fleet.client, cell.workflowId, 'an operator said so');
    return cell;
  },
  async extended(fleet) {
    const cell = await fleet.start('a-few-seconds', { agentId: 'extended' });
    await untilAgentWorks(fleet, cell);
    await extendCell(fleet.client, cell.workflowId, { tokens: 10_000, timeout: '5m' });
    return cell;
  },
  async prompted(fleet) {
    const cell = await fleet.start('takes-another-prompt', { agentId: 'prompted' });
    await untilAgentWorks(fleet, cell);
    await promptCell(fleet.client, cell.workflowId, 'Be brief.');
    return cell;
  },
  async 'invalid-request'({ client }) {
    const workflowId = 'cell/task/invalid';
    const handle = await client.workflow.start('agentCell', {
      workflowId,
      taskQueue: 'agent-cells',
      // No face of ours would send this: a program in another language may.
      args: [{ taskId: 'task', agentId: 'invalid', prompt: 'Do it.', tokenBudgett: 5 }],
    });
    return await openCell(client, workflowId, handle.firstExecutionRunId);
  },
};

export type CrowdedPath = 'spawn-failed' | 'queue-timed-out';

/** The paths of a host with one place and no port, in this order: while the first cell tries to be spawned, the second waits. */
export const crowdedWays: Readonly<Record<CrowdedPath, Way>> = {
  'spawn-failed': (fleet) => fleet.start('edit-file', { agentId: 'without-a-port' }),
  'queue-timed-out': (fleet) => fleet.start('edit-file', { agentId: 'without-a-place', queueTimeout: '3s' }),
};

export type StrictPath = 'hung-then-recycled';

/** The paths of a host whose agents may not be silent for long, and that finds every server too large. */
export const strictWays: Readonly<Record<StrictPath, Way>> = {
  'hung-then-recycled': (fleet) => fleet.start('hangs-once', { agentId: 'hung', testCommand: isRight }),
};

const isRight = 'grep -q right answer.txt';

/** Until the agent has done its first step: from then on it can be spoken to, and has work that can be lost. */
async function untilAgentWorks(fleet: Fleet, cell: CellHandle): Promise<void> {
  for (;;) {
    const { status, lifecycle, tokens } = await cellState(fleet.client, cell.workflowId, cell.runId);
    if (status !== 'running') throw new Error(`${cell.workflowId} ended before its agent was at work`);
    if (lifecycle === 'processing' && tokens.total > 0) return;
    await setTimeout(200);
  }
}
