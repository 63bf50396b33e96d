import { type Command, Option } from 'commander';
import { millisecondsOf } from '../../domain/duration.ts';
import { UserError } from '../../domain/user-error.ts';
import { runWorker } from '../../worker.ts';
import type { StopPlan } from '../../worker/stop-plan.ts';
import type { Cli } from '../cli.ts';
import { alone, hostLog } from '../host-log.ts';

interface WorkerFlags {
  drain?: true | string;
  endCells?: true;
  shutdownTimeout?: string;
}

/** `cells worker`: one process for one host; disposable, since Temporal and the disk hold all that counts. */
export function define(command: Command, cli: Cli): void {
  command
    .addOption(
      new Option(
        '--drain [duration]',
        'at the signal to end: wait so long for the cells to end (default: 30m)',
      ).conflicts('endCells'),
    )
    .option('--end-cells', 'at the signal to end: end the cells; their workflows make them anew on another host')
    .option('--shutdown-timeout <duration>', 'with --end-cells: how long that may take (default: 30s)')
    .addHelpText('after', help)
    .action((flags: WorkerFlags) => worker(flags, cli));
}

const help = `
Settings come from the environment and from .env; \`cells doctor\` prints them all.

At SIGTERM and Ctrl-C the worker claims no more cells at once. Those that it has
  by default      stay at work, and the next worker of this host takes them up: for deploys
  --drain         come to their end; those that do not in time stay at work for the next worker
  --end-cells     are ended, their work kept under refs/cells/reverted, and begun anew on another host
A second signal ends the worker at once: what it has stays at work for the next one.`;

async function worker(flags: WorkerFlags, cli: Cli): Promise<void> {
  const stop = stopPlanOf(flags);
  const config = cli.config();
  const log = hostLog(config);
  const ready = (worker: { hostId: string; metricsUrl: string }) => log.info(worker, 'the worker serves cells');
  await alone(config.stateDirectory, () => runWorker(config, { log, signal: cli.interruption(), stop, ready }));
  log.info('the worker has ended');
}

function stopPlanOf({ drain, endCells, shutdownTimeout }: WorkerFlags): StopPlan {
  if (shutdownTimeout !== undefined && !endCells)
    throw new UserError('InvalidInput', '--shutdown-timeout goes with --end-cells', {
      try: 'give both, or --drain=<duration>',
    });
  if (endCells) return { kind: 'end', limitMs: durationOf('--shutdown-timeout', shutdownTimeout ?? '30s') };
  if (drain === undefined) return { kind: 'leave' };
  return { kind: 'drain', limitMs: durationOf('--drain', drain === true ? '30m' : drain) };
}

function durationOf(flag: string, text: string): number {
  const milliseconds = millisecondsOf(text);
  if (milliseconds !== null) return milliseconds;
  throw new UserError('InvalidInput', `${flag} ${text} is not a duration`, { try: 'give one such as 90s, 30m or 2h' });
}
