import type { Command } from 'commander';
import { abortCell } from '../../client/messages.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';

/** `cells abort`: unlike `cancel` the cell has a result, `reverted` with the reason. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .option('-r, --reason <text>', 'the reason of the result', 'aborted by an operator')
    .action(async (id: string, { reason }: { reason: string }) => {
      const workflowId = workflowIdFrom(id);
      await using temporal = await cli.connect();
      await abortCell(temporal.client, workflowId, reason);
      cli.note(
        `${cellNameOf(workflowId)} is being ended; follow it with: cells show ${cellNameOf(workflowId)} --follow`,
      );
    });
}
