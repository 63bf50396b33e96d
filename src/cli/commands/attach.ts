import type { Command } from 'commander';
import { execa } from 'execa';
import { createLeaseStore } from '../../cell/leases.ts';
import { cellSecret } from '../../cell/secret.ts';
import { UserError } from '../../domain/user-error.ts';
import { opencodeBinary } from '../../opencode/binary.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';
import { exitCodes } from '../exit-codes.ts';
import { findLocalCell } from '../local-cell.ts';

/** `cells attach`: OpenCode's own terminal on the server of a running cell. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .addHelpText(
      'after',
      '\nLeaving the terminal does not end the cell. What you say to the agent there counts against its token budget.',
    )
    .action((id: string) => attach(workflowIdFrom(id), cli));
}

async function attach(workflowId: string, cli: Cli): Promise<void> {
  const { port, worktree, sessionId, secret } = await serverOf(workflowId, cli);
  const session = sessionId === null ? ['--continue'] : ['--session', sessionId];
  // The password goes by the environment: a command line can be read by every user of the machine.
  const { exitCode } = await execa(
    opencodeBinary,
    ['attach', `http://127.0.0.1:${port}`, '--dir', worktree, ...session],
    {
      stdio: 'inherit',
      reject: false,
      env: { OPENCODE_SERVER_PASSWORD: secret },
    },
  );
  if (exitCode === 0) return;
  cli.note(`OpenCode's terminal ended with ${exitCode ?? 'a signal'}`);
  cli.exit(exitCodes.error);
}

interface Server {
  port: number;
  worktree: string;
  sessionId: string | null;
  secret: string;
}

/** By the lease: it says what is there now, whether or not a workflow worker can be asked. */
async function serverOf(workflowId: string, cli: Cli): Promise<Server> {
  await using temporal = await cli.connect();
  const name = cellNameOf(workflowId);
  const { stateDirectory } = cli.config();
  const { cellId } = await findLocalCell(temporal.client, workflowId, cli.config());
  const reading = await createLeaseStore(stateDirectory).read(cellId);
  if (reading.kind !== 'lease' || reading.lease.port === null || reading.lease.worktree === null) {
    throw new UserError('NotOnThisHost', `${name} has no server now`, {
      try: `see where it stands with: cells show ${name}; what was said: cells logs ${name} --transcript`,
    });
  }
  const { port, worktree, sessionId } = reading.lease;
  return { port, worktree, sessionId, secret: await cellSecret(stateDirectory, cellId) };
}
