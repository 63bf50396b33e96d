import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import type { Fleet } from '../support/bring-up-fleet.ts';

const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

let bundle: ReturnType<typeof bundleWorkflowCode> | null = null;

/** Replays every history of a fleet on the workflow as it is, and answers what went another way. */
export async function replayProblems({ client }: Fleet): Promise<string[]> {
  if (bundle === null) Runtime.install({ logger: new DefaultLogger('ERROR') });
  const logger = new DefaultLogger('ERROR');
  const workflowBundle = await (bundle ??= bundleWorkflowCode({ workflowsPath, logger }));
  const problems: string[] = [];
  const histories = client.workflow.list().intoHistories();
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    if (error) problems.push(`the history of ${workflowId} does not replay: ${error.message}`);
  }
  return problems;
}
