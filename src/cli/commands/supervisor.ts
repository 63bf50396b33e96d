import type { Command } from 'commander';
import { UserError } from '../../domain/user-error.ts';
import { connectSupervisor, supervisorRuns } from '../../supervisor/client.ts';
import { SupervisorRunning } from '../../supervisor/lock.ts';
import { runSupervisor } from '../../supervisor/run.ts';
import type { Cli } from '../cli.ts';

interface SupervisorFlags {
  stop?: true;
  force?: true;
}

/** `cells supervisor`: what a worker starts by itself where none runs. */
export function define(command: Command, cli: Cli): void {
  command
    .option('--stop', 'end the one that runs; refused while cells or workers need it')
    .option('--force', 'with --stop: end it, and every cell of this host with it')
    .addHelpText(
      'after',
      `
The parent of every cell's processes on this host, and the holder of their ports. A worker starts it where none runs, and
it goes a minute after the last cell and the last worker. When it ends, in whatever way, every cell of the host ends too.`,
    )
    .action((flags: SupervisorFlags) => (flags.stop ? stop(flags, cli) : run(cli)));
}

async function run(cli: Cli): Promise<void> {
  const { stateDirectory, cgroup, docker } = cli.config();
  try {
    await runSupervisor({
      stateDirectory,
      groups: cgroup,
      docker,
      signal: cli.interruption(),
      ready: ({ pid, socket }) => cli.note(`the supervisor (process ${pid}) answers on ${socket}`),
    });
  } catch (cause) {
    if (!(cause instanceof SupervisorRunning)) throw cause;
    throw new UserError('InvalidConfiguration', cause.message, { try: 'end it with `cells supervisor --stop`', cause });
  }
}

async function stop({ force }: SupervisorFlags, cli: Cli): Promise<void> {
  const { stateDirectory } = cli.config();
  // To connect starts one.
  if (!(await supervisorRuns(stateDirectory))) return cli.note(`no supervisor runs on ${stateDirectory}`);
  await using supervisor = await connectSupervisor(stateDirectory);
  const { pid, cells } = await supervisor.info();
  if (await supervisor.stop({ force: force === true })) return cli.note(`the supervisor (process ${pid}) has ended`);
  throw new UserError(
    'InvalidInput',
    `the supervisor (process ${pid}) is needed: ${cells.length} cells live, or a worker runs`,
    {
      try: 'end the worker and wait for the cells, or end them all with --force: their workflows will find them lost',
    },
  );
}
