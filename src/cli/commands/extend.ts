import type { Command } from 'commander';
import { extendCell } from '../../client/messages.ts';
import { UserError } from '../../domain/user-error.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';
import { durationFrom } from '../request-flags.ts';
import { numberWord, timeWord } from '../words.ts';

interface ExtendFlags {
  tokens?: string;
  time?: string;
  json?: true;
}

/** `cells extend`: more tokens, more time, or both. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .option('--tokens <count>', 'tokens on top of the budget so far')
    .option('--time <duration>', 'time on top of the timeout so far, such as 15m')
    .option('--json', 'print as JSON')
    .action((id: string, flags: ExtendFlags) => extend(workflowIdFrom(id), flags, cli));
}

async function extend(workflowId: string, flags: ExtendFlags, cli: Cli): Promise<void> {
  const more = moreFrom(flags);
  if (Object.keys(more).length === 0) {
    throw new UserError('InvalidInput', 'nothing to extend by', { try: 'give --tokens, --time, or both' });
  }
  await using temporal = await cli.connect();
  const extended = await extendCell(temporal.client, workflowId, more);
  if (flags.json) return cli.print(JSON.stringify(extended));
  cli.note(
    `${cellNameOf(workflowId)} may use ${numberWord(extended.tokenBudget)} tokens, until ${timeWord(extended.deadline)}`,
  );
}

/** What the flags ask of a cell; the cell decides which values are allowed. */
export function moreFrom({ tokens, time }: ExtendFlags): Parameters<typeof extendCell>[2] {
  return {
    ...(tokens === undefined ? {} : { tokens: Number(tokens) }),
    ...(time === undefined ? {} : { timeout: durationFrom(time) }),
  };
}
