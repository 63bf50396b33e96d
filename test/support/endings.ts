import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import waitFor from 'p-wait-for';
import { expect } from 'vitest';
import type { CellReport } from '../../src/domain/outcome.ts';
import type { Fleet } from './fleet.ts';
import { remainsOfHost } from './remains.ts';

/** What a caller in any language finds in a workflow that failed. */
export interface Failure {
  type: string;
  message: string;
  nonRetryable: boolean;
  report: CellReport;
}

type Run = Parameters<Client['workflow']['getHandle']>;

/** Waits for a cell that is to fail, and answers the failure as Temporal has it, without our client in between. */
export async function failureOf(client: Client, { workflowId }: { workflowId: Run[0] }): Promise<Failure> {
  const ended = await client.workflow
    .getHandle(workflowId)
    .result()
    .then(
      (result: unknown) => ({ result }),
      (error: unknown) => ({ error }),
    );
  if ('result' in ended) throw new Error(`the cell did not fail: ${JSON.stringify(ended.result)}`);
  if (!(ended.error instanceof WorkflowFailedError)) throw ended.error;
  const { cause } = ended.error;
  if (!(cause instanceof ApplicationFailure)) throw new Error('the cell failed in another way', { cause: ended.error });
  return {
    type: cause.type ?? '',
    message: cause.message,
    nonRetryable: cause.nonRetryable === true,
    report: cause.details?.[0] as CellReport, // what the contract says; the tests look into it
  };
}

/** A figure that was measured. */
const count: unknown = expect.any(Number);

/** What every report has, however early the cell ended. */
export const anyReport = {
  reason: expect.any(String) as string,
  agentId: expect.any(String) as string,
  taskId: 'task',
  filesModified: expect.any(Array) as unknown[],
  tests: { outcome: expect.any(String) as string, rounds: count },
  tokens: { input: count, output: count, reasoning: count, cacheRead: count, cacheWrite: count, total: count },
  protectedPathsTouched: [],
  summary: expect.any(String) as string,
  versions: { agentCells: expect.stringMatching(/^\d+\.\d+\.\d+/) as string },
  metrics: {
    queueMs: count,
    spawnMs: count,
    executionMs: count,
    testMs: count,
    commitMs: count,
    teardownMs: count,
    totalMs: count,
  },
  respawns: expect.any(Number) as number,
} as const;

/** Waits until a host holds nothing of any cell: no lease, process, port, worktree, and no entry of one in the repository. */
export async function nothingLeft(fleet: Fleet, repository: string = fleet.repository.path): Promise<void> {
  let left = await remainsOfHost(fleet.stateDirectory, repository);
  const looked = async () => {
    left = await remainsOfHost(fleet.stateDirectory, repository);
    return left.length === 0;
  };
  await waitFor(looked, { interval: 200, timeout: 15_000 }).catch(() => undefined);
  expect(left).toEqual([]);
}
