import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse } from 'yaml';
import { cellNameOf } from '../../src/cli/cell-name.ts';
import { followCell } from '../../src/cli/follow.ts';
import type { Progress } from '../../src/cli/progress.ts';
import { statusOf } from '../../src/cli/table.ts';
import { startCell, type CellOutcome, type CellRequest } from '../../src/client.ts';
import type { Stage } from './stage.ts';

/** A task of the demo that has ended. */
export interface EndedTask {
  /** `taskId/agentId`. */
  name: string;
  workflowId: string;
  runId: string;
  /** The status or failure that the script leads to. */
  expected: string;
  outcome: CellOutcome;
}

/** Whether a task ended as it should: as its script says, or with a real model in any verdict. */
export const asExpected = ({ outcome, expected }: EndedTask, scripted: boolean): boolean =>
  scripted ? statusOf(outcome) === expected : outcome.kind === 'verdict' || outcome.failure.report !== null;

/** A request, and the status or failure that its script leads to. */
export interface Task {
  request: CellRequest;
  expect: string;
}

/** Starts all tasks at once and follows them to their ends. Interrupted, it answers those that have ended. */
export async function runTasks(
  stage: Stage,
  tasks: readonly Task[],
  options: { progress: Progress; signal: AbortSignal },
): Promise<EndedTask[]> {
  const following = tasks.map(async ({ request, expect }): Promise<EndedTask | null> => {
    const handle = await startCell(stage.client, { ...request, repository: stage.repository, model: stage.model });
    const { workflowId, runId } = handle;
    stage.started.push(workflowId);
    const name = cellNameOf(workflowId);
    const outcome = await followCell(stage.client, { handle, name }, options);
    return outcome && { name, workflowId, runId, expected: expect, outcome };
  });
  return (await Promise.all(following)).filter((task) => task !== null);
}

/** The five tasks of the demo; or as many as asked for, the five again and again, by further agents. */
export async function readTasks(count?: number): Promise<Task[]> {
  const { tasks } = v.parse(tasksSchema, parse(await readFile(file, 'utf8')));
  if (count === undefined) return tasks;
  return Array.from({ length: count }, (_, index) => {
    const { request, expect } = taskAt(tasks, index);
    const round = Math.floor(index / tasks.length) + 1;
    return { request: { ...request, agentId: `${request.agentId}-${round}` }, expect };
  });
}

function taskAt(tasks: readonly Task[], index: number): Task {
  const task = tasks[index % tasks.length];
  if (task === undefined) throw new Error('the file of the tasks has none');
  return task;
}

const file = fileURLToPath(new URL('../../examples/demo-tasks.yaml', import.meta.url));

const tasksSchema = v.strictObject({
  // A request is parsed where it is started, and only there.
  tasks: v.array(
    v.strictObject({
      request: v.custom<CellRequest>((value) => typeof value === 'object' && value !== null),
      expect: v.string(),
    }),
  ),
});
