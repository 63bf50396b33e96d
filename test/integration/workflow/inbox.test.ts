import { ApplicationFailure } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CellState } from '../../../src/client.ts';
import { type ToldHost, claimed, startToldHost, untilStepIsToEnd, usageOf } from '../../support/told-host.ts';
import { waitUntil } from '../../support/wait-until.ts';

let host: ToldHost;
beforeAll(async () => void (host = await startToldHost()));
afterAll(() => host[Symbol.asyncDispose]());

describe('a signal of a host', () => {
  test('that is not as it should be changes nothing, and the cell goes on', async () => {
    const agent = agentAtWork();
    const cell = await host.start('malformed', agent.steps);
    await untilAtWork(cell);
    const { tokens } = usageOf(5);
    for (const args of [
      [],
      [null],
      ['tokens'],
      [{ tokens }],
      [{ tokens, lastActivity: 'now' }],
      [{ tokens, lastActivity: 1e300 }],
      [{ tokens: { ...tokens, total: -5 }, lastActivity: null }],
      [{ tokens: { total: 5 }, lastActivity: null }],
      [{ tokens, lastActivity: null, waitingFor: 5 }],
    ])
      await cell.signal('cellProgress', ...args);
    for (const args of [[], [null], [{}], [{ cellId: claimed.cellId }], [{ cellId: claimed.cellId, memory: 5 }]])
      await cell.signal('cellAlert', ...args);
    expect(await stateOf(cell)).toMatchObject({ tokens: { total: 0 }, waitingFor: null, memoryAlert: null });
    await cell.signal('cellProgress', { tokens, lastActivity: 1, waitingFor: 'the provider' });
    await cell.signal('cellAlert', { cellId: claimed.cellId, memory: 'nearly all' });
    const told = { tokens, lastActivity: 1, waitingFor: 'the provider', memoryAlert: 'nearly all' };
    expect(await stateOf(cell)).toMatchObject(told);
    agent.end();
    expect(await cell.result()).toMatchObject({ status: 'committed', tokens: { total: 10 } });
    expect(await failedTasksOf(cell)).toEqual([]);
  });

  test('that comes from an earlier cell of the run counts no tokens a second time', async () => {
    const agent = agentAtWork();
    const lost = { message: 'the cell is gone', type: 'CellLost', nonRetryable: true, details: [usageOf(1000)] };
    const prompts = [() => Promise.reject(ApplicationFailure.create(lost)), agent.steps.executePrompt];
    const earlier = '00000000000000aa';
    const cellIds = [earlier, claimed.cellId];
    const cell = await host.start('late', {
      claimHost: () => Promise.resolve({ ...claimed, cellId: cellIds.shift() ?? claimed.cellId }),
      executePrompt: async () => await (prompts.shift() ?? agent.steps.executePrompt)(),
      reviveCell: () => Promise.reject(ApplicationFailure.create(lost)),
    });
    await waitUntil(() => host.stepsOf(cell).filter((step) => step === 'executePrompt').length === 2, 60_000);
    await cell.signal('cellProgress', { cellId: earlier, ...usageOf(1000), waitingFor: 'the provider' });
    expect(await stateOf(cell)).toMatchObject({ tokens: { total: 1000 }, waitingFor: null });
    await cell.signal('cellProgress', { cellId: claimed.cellId, ...usageOf(3) });
    expect(await stateOf(cell)).toMatchObject({ tokens: { total: 1003 } });
    // A worker of an earlier version does not say of which cell it speaks.
    await cell.signal('cellProgress', usageOf(4));
    expect(await stateOf(cell)).toMatchObject({ tokens: { total: 1004 } });
    agent.end();
    expect(await cell.result()).toMatchObject({ status: 'committed', tokens: { total: 1010 }, respawns: 1 });
  });
});

describe('an instruction', () => {
  test('is refused when the history of the cell has no room for more of them, and the cell ends well', async () => {
    const agent = agentAtWork();
    const cell = await host.start('flooded', agent.steps);
    await untilAtWork(cell);
    const prompt = (text: string) => cell.executeUpdate('prompt', { args: [{ text }] });
    const flood = async () => {
      for (let sent = 0; sent < 60; sent += 1) await prompt('x'.repeat(256 * 1024));
    };
    const [refusal] = await Promise.all([flood().catch((error: unknown) => error), flood().catch(() => undefined)]);
    expect(refusal).toMatchObject({
      name: 'WorkflowUpdateFailedError',
      cause: {
        type: 'MessageRefused',
        message: expect.stringMatching(/^the history of the cell is too long/) as string,
      },
    });
    await expect(prompt('And a short one.')).rejects.toThrow();
    agent.end();
    expect(await cell.result()).toMatchObject({ status: 'committed' });
    expect(host.stepsOf(cell).at(-1)).toBe('teardownCell');
  });
});

describe('a cell that was told to end, while its step takes time to,', () => {
  test.each(['aborted', 'cancelled'])('refuses what it could not keep to, when it was %s', async (how) => {
    const agent = agentAtWork();
    const cell = await host.start(`ending-${how}`, agent.steps);
    await untilAtWork(cell);
    await (how === 'aborted' ? cell.signal('abort', { reason: 'enough' }) : cell.cancel());
    await untilStepIsToEnd(cell);
    const refused = { cause: { type: 'MessageRefused', message: 'the cell is terminating' } };
    const send = (name: string, input: object) => cell.executeUpdate(name, { args: [input] });
    await expect(send('extend', { timeout: '5m' })).rejects.toMatchObject(refused);
    await expect(send('prompt', { text: 'And this.' })).rejects.toMatchObject(refused);
    agent.end();
    await cell.result().catch(() => undefined);
    expect(host.stepsOf(cell)).not.toContain('promptAgent');
  });
});

describe('an extension', () => {
  test('holds, and is answered so, when the host of the cell cannot be told of it', async () => {
    const agent = agentAtWork();
    const extendBudget = () => Promise.reject(ApplicationFailure.nonRetryable('the disk is full'));
    const prompts: number[] = [];
    const cell = await host.start(
      'extended',
      {
        extendBudget,
        // As a host that was not told does: it finds the budget spent that it knows of.
        async executePrompt({ tokenBudget }) {
          prompts.push(tokenBudget);
          if (prompts.length > 1) return { kind: 'finished', usage: usageOf(1500) };
          await agent.steps.executePrompt();
          return { kind: 'budget-spent', usage: usageOf(990), refusedAt: tokenBudget };
        },
      },
      { tokenBudget: 1000 },
    );
    await untilAtWork(cell);
    const extend = () => cell.executeUpdate('extend', { args: [{ tokens: 500, timeout: '5m' }] });
    const before = await stateOf(cell);
    expect(await extend()).toMatchObject({ tokenBudget: 1500 });
    expect(await stateOf(cell)).toMatchObject({ tokenBudget: 1500, history: before.history });
    agent.end();
    expect(await cell.result()).toMatchObject({ status: 'committed', tokens: { total: 1500 } });
    expect(prompts).toEqual([1000, 1500]);
  });
});

/** An agent that works until the test says that it is done. */
function agentAtWork() {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  const executePrompt = async () => {
    await promise;
    return { kind: 'finished', usage: usageOf(10) } as const;
  };
  return { end, steps: { executePrompt } };
}

const stateOf = (cell: WorkflowHandle): Promise<CellState> => cell.query('state');

async function untilAtWork(cell: WorkflowHandle): Promise<void> {
  await waitUntil(() => host.stepsOf(cell).includes('executePrompt'), 60_000);
}

/** Why the workflow could not go on for a while: what is tried again for ever, and wedges the cell. */
async function failedTasksOf(cell: WorkflowHandle): Promise<unknown[]> {
  const { events } = await cell.fetchHistory();
  return (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) => (failed ? [failed.failure] : []));
}
