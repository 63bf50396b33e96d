import pc from 'picocolors';
import { expect, test } from 'vitest';
import { renderCell } from '../../../src/cli/commands/show.ts';
import { noTests, noTokens } from '../../../src/domain/outcome.ts';

const waiting = {
  listing: {
    workflowId: 'cell/t/a',
    runId: 'r',
    status: 'running',
    failure: null,
    taskId: 't',
    agentId: 'a',
    agentType: 'worker',
    lifecycle: 'processing',
    step: 'execute',
    host: 'h1',
    repository: null,
    tokens: 0,
    startedAt: 0,
    closedAt: null,
  },
  state: {
    lifecycle: 'processing',
    step: 'execute',
    since: 0,
    attempt: 1,
    cell: { cellId: 'c', host: 'h1', runtime: 'process', port: 9000, worktree: '/w', branch: 'cells/t/a' },
    tokens: noTokens,
    tokenBudget: 0,
    lastActivity: null,
    waitingFor: 'the provider: \u001b]0;owned\u0007\nslow down',
    memoryAlert: null,
    tests: noTests,
    history: [],
    status: 'running',
    doing: null,
    complete: true,
  },
  pending: [],
  queue: null,
  labels: {},
  outcome: null,
  thisHost: null,
} as const;

test('what an agent waits for is shown on one line, without what a terminal would obey', () => {
  const text = renderCell(
    { ...waiting, pending: [], state: { ...waiting.state, history: [] } },
    pc.createColors(false),
  );
  expect(text).toContain('waits for the provider: ]0;owned slow down\n');
});
