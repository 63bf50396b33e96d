import type { CellRequest } from '../../../src/client.ts';

/** A request of the bench: the same for every cell but for its name. */
export function request(task: string, index: number, more: Partial<CellRequest> = {}): Partial<CellRequest> {
  return { taskId: task, agentId: `a${index + 1}`, testCommand, timeout: '2h', ...more };
}

/** What judges the edit, in cells and in the plain loop alike. */
export const testCommand = 'grep -q right src/answer.txt';
