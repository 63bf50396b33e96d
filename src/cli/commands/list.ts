import { Option, type Command } from 'commander';
import { listCells, listStatuses, type ListStatus } from '../../client/list.ts';
import { UserError } from '../../domain/user-error.ts';
import type { Cli } from '../cli.ts';
import { listTable } from '../table.ts';

interface ListFlags {
  status?: ListStatus;
  task?: string;
  limit: string;
  json?: true;
}

/** `cells list`: what Temporal knows of cells, without asking any worker. */
export function define(command: Command, cli: Cli): void {
  command
    .addOption(new Option('-s, --status <status>', 'only these').choices([...listStatuses]))
    .option('-t, --task <taskId>', 'only cells of this task')
    .option('-n, --limit <count>', 'at most so many', '50')
    .option('--json', 'print each cell as a line of JSON')
    .action((flags: ListFlags) => list(flags, cli));
}

async function list({ status, task, limit, json }: ListFlags, cli: Cli): Promise<void> {
  if (!/^[1-9]\d{0,5}$/.test(limit))
    throw new UserError('InvalidInput', `--limit ${limit} is not a count`, { try: 'give a whole number' });
  await using temporal = await cli.connect();
  const cells = await listCells(temporal.client, {
    limit: Number(limit),
    ...(status === undefined ? {} : { status }),
    ...(task === undefined ? {} : { taskId: task }),
  });
  if (json) for (const cell of cells) cli.print(JSON.stringify(cell));
  else if (cells.length === 0) cli.note('no cells');
  else cli.print(listTable(cells, cli.colors));
}
