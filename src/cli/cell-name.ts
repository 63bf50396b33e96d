import { workflowIdOf } from '../domain/names.ts';
import { UserError } from '../domain/user-error.ts';

/** How commands name the argument that says which cell. */
export const cellArgument = { name: '<id>', description: 'taskId/agentId, or the id of the workflow' };

/**
 * The workflow id that a person means: `taskId/agentId`, or the id of a workflow as it is.
 *
 * @throws UserError `InvalidInput` for a single word, which could be either part.
 */
export function workflowIdFrom(text: string): string {
  const parts = text.split('/');
  const [taskId = '', agentId = ''] = parts;
  if (parts.length === 2 && taskId !== '' && agentId !== '') return workflowIdOf({ taskId, agentId });
  if (parts.length > 2) return text;
  throw new UserError('InvalidInput', `"${text}" does not name a cell`, {
    try: 'give taskId/agentId, such as fix-login/worker-1; `cells list` shows them',
  });
}

/** The short name of a cell: `taskId/agentId` where its workflow id has that form. */
export const cellNameOf = (workflowId: string): string => workflowId.replace(/^cell\/(?=[^/]+\/[^/]+$)/, '');
