import type { Command } from 'commander';
import { runWorker } from '../../worker.ts';
import type { Cli } from '../cli.ts';
import { alone, hostLog } from '../host-log.ts';

/** `cells worker`: one process for one host; disposable, since Temporal and the disk hold all that counts. */
export function define(command: Command, cli: Cli): void {
  command.addHelpText('after', help).action(() => worker(cli));
}

const help = `
Settings come from the environment and from .env; \`cells doctor\` prints them all.
SIGTERM and Ctrl-C drain: no new step begins, and agents that are at work go on for the next worker to find.`;

async function worker(cli: Cli): Promise<void> {
  const config = cli.config();
  const log = hostLog(config);
  const ready = (worker: { hostId: string; metricsUrl: string }) => log.info(worker, 'the worker serves cells');
  await alone(config.stateDirectory, () => runWorker(config, { log, signal: cli.interruption(), ready }));
  log.info('the worker has ended');
}
