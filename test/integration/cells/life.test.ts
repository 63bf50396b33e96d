import { describe, expect, test } from 'vitest';
import { startFleet } from '../../support/fleet.ts';

describe('the life of a cell', () => {
  test('ends with a commit of what the agent wrote, on the branch of the cell', async () => {
    await using fleet = await startFleet();
    const cell = await fleet.start('edit-file', { testCommand: 'test -f answer.txt' });
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', branch: 'cells/task/edit-file', tests: { outcome: 'passed' } });
    expect(await fleet.repository.git('show', '--stat', '--format=%an', 'cells/task/edit-file')).toContain(
      'answer.txt',
    );
    expect(await fleet.repository.git('rev-parse', 'cells/task/edit-file^')).toBe(fleet.repository.commit);
  });
});
