import type { CommitInput } from '../../activities/contract.ts';
import type { Lease } from './lease.ts';

const subjectLength = 72;

/** The message of a cell's commit: the caller's, or one made from the task and the agent's summary; then the trailers. */
export function messageOfCommit(
  lease: Lease,
  input: Pick<CommitInput, 'commitMessage' | 'summary' | 'tokens'>,
): string {
  const { owner, cellId, model } = lease;
  const text = input.commitMessage ?? madeMessage(owner.taskId, input.summary);
  const trailers = [
    `Cells-Task: ${owner.taskId}`,
    `Cells-Agent: ${owner.agentId}`,
    `Cells-Cell: ${cellId}`,
    `Cells-Workflow: ${owner.workflowId}`,
    `Cells-Model: ${model}`,
    `Cells-Tokens: ${input.tokens.total}`,
  ].map((line) => line.replace(/[\r\n]+/g, ' '));
  return `${text.trimEnd()}\n\n${trailers.join('\n')}\n`;
}

function madeMessage(taskId: string, summary: string): string {
  const text = summary.trim();
  const [first = ''] = text.split('\n', 1);
  const subject = `${taskId}: ${first.trim() || 'work of an agent'}`;
  if (subject.length <= subjectLength) return [subject, text.slice(first.length).trim()].filter(Boolean).join('\n\n');
  return `${subject.slice(0, subjectLength - 1).trimEnd()}…\n\n${text}`;
}
