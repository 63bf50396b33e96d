import type { Command } from 'commander';
import { cancelCell } from '../../client/messages.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';

/** `cells cancel`: the agent is aborted, its work reverted, everything torn down; the workflow ends as cancelled. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .option('-r, --reason <text>', "kept in the workflow's history")
    .action(async (id: string, flags: { reason?: string }) => {
      const workflowId = workflowIdFrom(id);
      await using temporal = await cli.connect();
      const name = cellNameOf(workflowId);
      const running = await cancelCell(temporal.client, workflowId, flags);
      cli.note(
        running
          ? `${name} is being cancelled; follow it with: cells show ${name} --follow`
          : `${name} has ended already`,
      );
    });
}
