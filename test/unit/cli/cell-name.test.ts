import { describe, expect, test } from 'vitest';
import { cellNameOf, workflowIdFrom } from '../../../src/cli/cell-name.ts';

describe('the name of a cell', () => {
  test('may be its task and agent', () => expect(workflowIdFrom('fix-login/a1')).toBe('cell/fix-login/a1'));
  test('may be the id of its workflow', () => expect(workflowIdFrom('cell/fix-login/a1')).toBe('cell/fix-login/a1'));
  test('is not a single word', () => expect(() => workflowIdFrom('fix-login')).toThrow('does not name a cell'));
  test('is not half of one', () => expect(() => workflowIdFrom('fix-login/')).toThrow('does not name a cell'));
  test('is short where it can be', () => {
    expect(cellNameOf('cell/fix-login/a1')).toBe('fix-login/a1');
    expect(cellNameOf('something-else')).toBe('something-else');
  });
});
