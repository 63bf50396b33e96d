import { noTests, noTokens, type CellResult } from '../../src/domain/outcome.ts';

/** A result as a small cell would have it, with what a test says of it. */
export function resultOf(known: Partial<CellResult> = {}): CellResult {
  return {
    status: 'committed',
    reason: 'the tests passed',
    agentId: 'a1',
    taskId: 'fix-login',
    cellId: '0123456789abcdef',
    host: 'host-1',
    runtime: 'process',
    baseCommit: 'b'.repeat(40),
    branch: 'cells/fix-login/a1',
    commit: 'c'.repeat(40),
    filesModified: [{ path: 'src/login.ts', change: 'modified', additions: 3, deletions: 1 }],
    tests: { ...noTests, outcome: 'passed', exitCode: 0, durationMs: 1200, rounds: 2 },
    tokens: { ...noTokens, input: 1000, output: 234, total: 1234 },
    cost: 0.0123,
    protectedPathsTouched: [],
    summary: 'Fixed the login.',
    versions: { agentCells: '0.1.0', opencode: '1.18.33' },
    metrics: {
      queueMs: 10,
      spawnMs: 3000,
      executionMs: 20_000,
      testMs: 1200,
      commitMs: 100,
      teardownMs: 50,
      totalMs: 24_360,
    },
    respawns: 0,
    ...known,
  };
}
