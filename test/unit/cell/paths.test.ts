import { describe, expect, test } from 'vitest';
import { cellIdOf } from '../../../src/cell/cell-id.ts';
import { cellPaths, hostPaths } from '../../../src/cell/paths.ts';

const cellId = cellIdOf({ workflowId: 'cell/task/agent', runId: 'run', respawn: 0 });

describe('the paths of a cell', () => {
  test('all lie in the state directory and name the cell', () => {
    const { testOutput, snapshot, ...paths } = cellPaths('/state', cellId);
    for (const path of [...Object.values(paths), testOutput(0), snapshot(0)]) {
      expect(path).toMatch(new RegExp(`^/state/(cells|worktrees|artifacts)/${cellId}(/[\\w./-]+)?$`));
    }
    expect(paths.worktree).toBe(`/state/worktrees/${cellId}`);
    expect(paths.lease).toBe(`/state/cells/${cellId}/lease.json`);
    expect(paths.home).toBe(`/state/cells/${cellId}/home`);
  });

  test('are all different', () => {
    const { testOutput, snapshot, ...paths } = cellPaths('/state', cellId);
    const all = [...Object.values(paths), testOutput(0), testOutput(1), snapshot(0), snapshot(1)];
    expect(new Set(all).size).toBe(all.length);
  });

  test.each([
    '',
    '..',
    '../../etc',
    'abc',
    'ABCDEF0123456789',
    '0123456789abcdef\n',
    '0123456789abcdef/..',
    'x'.repeat(16),
  ])('are not made from %j', (text) => {
    expect(() => cellPaths('/state', text)).toThrow('not the id of a cell');
  });

  test.each([-1, 0.5, Number.NaN])('know no round %d', (round) => {
    expect(() => cellPaths('/state', cellId).testOutput(round)).toThrow('not a round');
  });

  test('are absolute', () => {
    expect(() => hostPaths('state')).toThrow('absolute');
  });
});
