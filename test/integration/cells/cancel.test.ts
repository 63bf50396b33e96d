import { fileURLToPath } from 'node:url';
import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CellHandle } from '../../../src/client.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { talkIn } from '../../support/talk.ts';
import { turnsOf } from '../../support/turns.ts';

const limits = { timeout: 600_000 };
const scripts = fileURLToPath(new URL('../../fixtures/scripts/messages.yaml', import.meta.url));

describe('a cell that is cancelled', () => {
  let fleet: Fleet;
  let talk: ReturnType<typeof talkIn>;

  beforeAll(async () => {
    fleet = await startFleet({ scripts, env: { CELLS_CAPACITY: '3' } });
    talk = talkIn(fleet);
  });

  afterAll(() => fleet[Symbol.asyncDispose]());

  test('is reverted, torn down and cancelled, whatever it was doing', limits, async () => {
    const [execute, tests, filler] = await Promise.all([
      fleet.start('waits', { agentId: 'execute' }),
      fleet.start('edit-file', { agentId: 'test', testCommand: 'sleep 600' }),
      fleet.start('waits', { agentId: 'filler' }),
    ]);
    await Promise.all([execute, tests, filler].map((cell) => talk.until(cell, (state) => state.cell.host !== null)));
    const queue = await fleet.start('edit-file', { agentId: 'queue' });
    await talk.until(queue, ({ step }) => step === 'queue');
    expect((await talk.refusalOf(queue, 'prompt', { text: 'Hello?' })).message).toMatch(
      /no agent is at work.*\(queue\)/,
    );
    await expectCancelled(queue, 'queue', false);

    await fleet.client.workflow.getHandle(filler.workflowId).cancel();
    await expect(filler.result()).rejects.toMatchObject({ type: 'Cancelled' });
    const spawn = await fleet.start('waits', { agentId: 'spawn' });
    await talk.until(spawn, ({ step }) => step === 'spawn');
    await expectCancelled(spawn, 'spawn', false);

    await talk.until(execute, ({ step }) => step === 'execute');
    await talk.until(execute, ({ tokens }) => tokens.total > 0);
    await expectCancelled(execute, 'execute', true);
    await talk.until(tests, ({ step }) => step === 'test');
    await expectCancelled(tests, 'test', true);
    expect(turnsOf(fleet.model, 'waits').every(({ outcome }) => outcome !== 'under-way')).toBe(true);
  });

  test('after its work was committed is committed', limits, async () => {
    const cell = await fleet.start('stubborn', { agentId: 'too-late' });
    await talk.until(cell, ({ step }) => step === 'teardown');
    await fleet.client.workflow.getHandle(cell.workflowId).cancel();
    expect(await cell.result()).toMatchObject({ status: 'committed', branch: 'cells/task/too-late' });
    await talk.expectAllowedHistory(cell);
    await nothingLeft(fleet);
  });

  async function expectCancelled(cell: CellHandle, step: string, hadWork: boolean): Promise<void> {
    const { workflowId } = cell;
    const handle = fleet.client.workflow.getHandle(workflowId);
    await handle.cancel();
    const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
    expect(error, step).toBeInstanceOf(WorkflowFailedError);
    expect((error as WorkflowFailedError).cause, step).toBeInstanceOf(CancelledFailure);
    const { history, cell: place } = await talk.stateOf(cell);
    expect(
      history.map((entry) => entry.step),
      step,
    ).toContain(step);
    expect(history.at(-1)?.lifecycle, step).toBe('terminated');
    await talk.expectAllowedHistory(cell);
    expect(await talk.attributesOf(cell), step).toMatchObject({ CellStatus: 'cancelled' });
    const kept = await fleet.repository.git('for-each-ref', `refs/cells/reverted/${place.cellId}`);
    expect(kept !== '', step).toBe(hadWork);
  }
});
