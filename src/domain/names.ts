/** The task queue that workflow workers poll. */
export const workflowTaskQueue = 'agent-cells';

/** The task queue on which a host with room claims the next cell. */
export const claimTaskQueue = 'agent-cells-claim';

/** The type of the failure by which a host gives a claim back to the queue. It ends no cell. */
export const claimGivenBack = 'HostWithoutRoom';

/** The task queue of one host: every step of a cell runs where its worktree is. */
export const hostTaskQueue = (hostId: string): string => `agent-cells@${hostId}`;

/** The workflow id that the client and the command give: starting the same agent twice is refused by Temporal. */
export const workflowIdOf = (cell: { taskId: string; agentId: string }): string =>
  `cell/${cell.taskId}/${cell.agentId}`;

/** The branch of a cell's work in the caller's repository, without `refs/heads/`. */
export const branchOf = (cell: { taskId: string; agentId: string }): string => `cells/${cell.taskId}/${cell.agentId}`;

/** The ref that keeps reverted work. */
export const revertedRefOf = (cellId: string): string => `refs/cells/reverted/${cellId}`;

/** The ref that keeps the earlier tip of a branch that a later run of the same ids moved. */
export const supersededRefOf = (cellId: string): string => `refs/cells/superseded/${cellId}`;

/** Set in the environment of every process of a cell: the proof of ownership that teardown and the reaper look for. */
export const cellMarker = 'AGENT_CELLS_CELL_ID';

/** Set besides for what one command started (a test run, say), so that it can be ended without ending the agent. */
export const execMarker = 'AGENT_CELLS_EXEC_ID';

/**
 * What the failure of a step carries as its cause when its host ends its cells on purpose: nothing of the cell is left there,
 * and the host claims no more.
 */
export const hostCloses = 'HostCloses';

/** Set besides: the id of the state directory that the cell belongs to, so that two hosts on one machine leave each other's cells alone. */
export const ownerMarker = 'AGENT_CELLS_OWNER_ID';
