import { fileURLToPath } from 'node:url';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import waitFor from 'p-wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CellHandle, startCell } from '../../../src/client.ts';
import { workflowTaskQueue } from '../../../src/domain/names.ts';
import { failureOf, nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { talkIn } from '../../support/talk.ts';
import { testRuntime } from '../../support/test-runtime.ts';
import { turnsOf } from '../../support/turns.ts';

const limits = { timeout: 240_000 };
const scripts = fileURLToPath(new URL('../../fixtures/scripts/messages.yaml', import.meta.url));

let fleet: Fleet;
let talk: ReturnType<typeof talkIn>;
/** Started first, since it takes longest. */
let patient: CellHandle;

beforeAll(async () => {
  fleet = await startFleet({ scripts });
  talk = talkIn(fleet);
  patient = await fleet.start('patient', { timeout: '60s' });
});

afterAll(() => fleet[Symbol.asyncDispose]());

describe('a cell at work', () => {
  test('takes more time than it was given at first', limits, async () => {
    await talk.until(patient, ({ step }) => step === 'execute');
    const first = await talk.update<{ deadline: number; tokenBudget: number }>(patient, 'extend', { timeout: '2m' });
    const second = await talk.update<{ deadline: number; tokenBudget: number }>(patient, 'extend', { timeout: 1000 });
    expect(second).toEqual({ deadline: first.deadline + 1000, tokenBudget: 50_000 });
    const { history } = await talk.stateOf(patient);
    const spawnedAt = history.find(({ step }) => step === 'spawn')?.at ?? 0;
    expect(first.deadline - spawnedAt - 180_000).toBeLessThan(2_000);
    // That it ends well, after its first deadline, is seen by the last test of this file.
  });

  test('tells all that is known of it, and ends as reverted when it is aborted', limits, async () => {
    const { client } = fleet;
    const labels = { team: 'blue', ticket: 'T-1' };
    const priority = { priorityKey: 2, fairnessKey: 'blue', fairnessWeight: 2 };
    const request = { taskId: 'task', agentId: 'waits', prompt: 'Wait a while.\nThen end. [script: waits]' };
    const cell = await startCell(client, { ...request, labels, priority, tokenBudget: 9000 });
    // The host tells of tokens some seconds after the agent has begun.
    await talk.until(cell, ({ tokens }) => tokens.total > 0);

    const state = await talk.stateOf(cell);
    const cellId = expect.stringMatching(/^[0-9a-f]{16}$/) as string;
    expect(state).toEqual({
      lifecycle: 'processing',
      step: 'execute',
      since: expect.any(Number) as number,
      attempt: 1,
      cell: {
        cellId,
        host: fleet.hostId,
        runtime: testRuntime(),
        port: expect.any(Number) as number,
        worktree: `${fleet.stateDirectory}/worktrees/${state.cell.cellId}`,
        branch: 'cells/task/waits',
      },
      tokens: { input: 1000, output: 50, reasoning: 0, cacheRead: 0, cacheWrite: 0, total: 1050 },
      tokenBudget: 9000,
      lastActivity: expect.any(Number) as number,
      waitingFor: null,
      memoryAlert: null,
      tests: { outcome: 'skipped', exitCode: null, durationMs: 0, rounds: 0, outputTail: '' },
      history: expect.any(Array) as unknown[],
    });
    expect(state.since).toBe(state.history.at(-1)?.at);
    expect(state.cell.port).toBeGreaterThanOrEqual(9000);

    const handle = client.workflow.getHandle(cell.workflowId);
    const description = await handle.describe();
    expect(description.memo).toMatchObject({ labels });
    expect(await description.staticSummary()).toBe('task/waits: Wait a while.');
    expect(await talk.attributesOf(cell)).toEqual({
      CellLifecycle: 'processing',
      CellStep: 'execute',
      CellAgentId: 'waits',
      CellTaskId: 'task',
      CellAgentType: 'worker',
      CellHost: fleet.hostId,
      CellRepository: fleet.repository.path,
      CellTokens: 0,
    });
    const metadata: { currentDetails?: string } = await handle.query('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toMatch(/\| Step \| execute \|[^]*\| Tokens \| 1050 of 9000 \|/);
    expect(description.priority).toEqual(priority);
    expect(await priorityOfClaim(cell)).toMatchObject(priority);

    await expect(startCell(client, request)).rejects.toMatchObject({
      code: 'CellAlreadyRunning',
      message: 'a cell of task task and agent waits is running already',
    });
    const again = { workflowId: cell.workflowId, taskQueue: workflowTaskQueue, args: [request] };
    await expect(client.workflow.start('agentCell', again)).rejects.toThrow(WorkflowExecutionAlreadyStartedError);

    await handle.signal('abort', { reason: 'wrong branch' });
    await handle.signal('abort', { reason: 'and once more' });
    const result = await cell.result();
    expect(result).toMatchObject({
      status: 'reverted',
      reason: 'wrong branch',
      revertedRef: `refs/cells/reverted/${state.cell.cellId}`,
      filesModified: [{ path: 'answer.txt', change: 'added', additions: 1, deletions: 0 }],
    });
    // The request that was under way is estimated: its provider had not told yet what it used.
    expect(result.tokens.total).toBeGreaterThan(1050);
    expect(result.tokens.total).toBeLessThan(2 * 1100);
    expect(result).not.toHaveProperty('branch');
    expect(await fleet.repository.git('show', `${result.revertedRef}:answer.txt`)).toBe('right');
    expect(await talk.attributesOf(cell)).toMatchObject({
      CellLifecycle: 'terminated',
      CellStatus: 'reverted',
      CellTokens: result.tokens.total,
    });
    await talk.expectAllowedHistory(cell);
    await expect(talk.update(cell, 'extend', { tokens: 1 })).rejects.toThrow(/already completed|not found/i);
  });

  test('goes on with more tokens, and is stopped where they end', limits, async () => {
    const cell = await fleet.start('endless', { tokenBudget: 15_750 });
    await waitFor(() => turnsOf(fleet.model, 'endless').length > 2, { timeout: 90_000 });
    for (const [input, field] of [
      [{ tokens: -1 }, 'tokens'],
      [{ tokens: 1.5 }, 'tokens'],
      [{ tokens: '5' }, 'tokens'],
      [{ timeout: '30 parsecs' }, 'timeout'],
      [{ budget: 5 }, 'budget'],
      [{}, 'the extend update'],
      [null, 'the extend update'],
    ] as const) {
      const refusal = await talk.refusalOf(cell, 'extend', input);
      expect(refusal).toMatchObject({ type: 'InvalidCellRequest', nonRetryable: true });
      expect(refusal.message.startsWith(field)).toBe(true);
    }
    expect(await talk.update(cell, 'extend', { tokens: 10_500 })).toMatchObject({ tokenBudget: 26_250 });

    const failure = await failureOf(fleet.client, cell);
    expect(failure).toMatchObject({ type: 'TokenBudgetExceeded', report: { tokens: { reasoning: 0 } } });
    const { total, input } = failure.report.tokens;
    expect(Math.abs(total - 26_250)).toBeLessThanOrEqual(1100);
    expect(input).toBe((total / 1050) * 1000);
    await talk.expectAllowedHistory(cell);
  });

  test('takes one more instruction, once, and works on it', limits, async () => {
    const cell = await fleet.start('listens');
    await waitFor(() => turnsOf(fleet.model, 'listens').length > 0, { timeout: 90_000 });
    for (const [input, field] of [
      [{ text: ' ' }, 'text'],
      [{ text: 'x'.repeat(300 * 1024) }, 'text'],
      [{ prompt: 'x' }, /^(text is required|prompt is not a field)/],
    ] as const) {
      expect((await talk.refusalOf(cell, 'prompt', input)).message).toMatch(field);
    }
    const handle = fleet.client.workflow.getHandle(cell.workflowId);
    const instruction = { args: [{ text: 'Write more.txt, too.' }] as [{ text: string }], updateId: 'same' };
    const send = () => handle.executeUpdate<void, [{ text: string }]>('prompt', instruction);
    await Promise.all([send(), send()]);
    expect(turnsOf(fleet.model, 'listens').every(({ round }) => round === 1)).toBe(true);

    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', summary: 'I wrote more.txt, too.' });
    expect(result.filesModified.map(({ path }) => path)).toEqual(['answer.txt', 'more.txt']);
    const rounds = turnsOf(fleet.model, 'listens').map(({ round, prompt }) => [round, prompt]);
    expect(rounds.filter(([round]) => round === 2)).toEqual([
      [2, 'Write more.txt, too.'],
      [2, 'Write more.txt, too.'],
    ]);
    expect(rounds.some(([round]) => round === 3)).toBe(false);
    await talk.expectAllowedHistory(cell);
  });
});

describe('a cell without an agent at work', () => {
  test('refuses instructions while it is tested, and everything once it is terminating', limits, async () => {
    const cell = await fleet.start('stubborn', { testCommand: 'sleep 3' });
    await talk.until(cell, ({ step }) => step === 'test');
    expect((await talk.refusalOf(cell, 'prompt', { text: 'Hello?' })).message).toMatch(/no agent is at work.*\(test\)/);
    await talk.until(cell, ({ lifecycle }) => lifecycle === 'terminating');
    for (const [name, input] of [
      ['prompt', { text: 'Hello?' }],
      ['extend', { tokens: 5 }],
    ] as const) {
      const refusal = await talk.refusalOf(cell, name, input);
      expect(refusal).toMatchObject({ type: 'MessageRefused', message: 'the cell is terminating' });
    }
    await fleet.client.workflow.getHandle(cell.workflowId).signal('abort', { reason: 'too late' });
    expect(await cell.result()).toMatchObject({ status: 'committed', reason: 'the tests passed' });
  });
});

describe('in the end', () => {
  test('the cell with more time has used it, and nothing is left of any', limits, async () => {
    const result = await patient.result();
    expect(result.status).toBe('committed');
    expect(result.metrics.spawnMs + result.metrics.executionMs).toBeGreaterThan(60_000);
    await nothingLeft(fleet);
  });
});

async function priorityOfClaim({ workflowId }: CellHandle): Promise<unknown> {
  const { events } = await fleet.client.workflow.getHandle(workflowId).fetchHistory();
  return events
    ?.map(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes)
    .find((attributes) => attributes?.activityType?.name === 'claimHost')?.priority;
}
