import type { Command } from 'commander';
import { promptCell } from '../../client/messages.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';

/** `cells prompt`: one more instruction to the running agent. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .argument('<text>', 'the instruction')
    .action(async (id: string, text: string) => {
      const workflowId = workflowIdFrom(id);
      await using temporal = await cli.connect();
      await promptCell(temporal.client, workflowId, text);
      cli.note(`the agent of ${cellNameOf(workflowId)} has taken the instruction`);
    });
}
