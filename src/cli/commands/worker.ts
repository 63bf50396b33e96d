import type { Command } from 'commander';
import { runWorker } from '../../worker.ts';
import type { Cli } from '../cli.ts';

/** `cells worker`: one process for one host; disposable, since Temporal and the disk hold all that counts. */
export function define(command: Command, cli: Cli): void {
  command
    .addHelpText(
      'after',
      '\nSettings come from the environment and from .env; `cells doctor` prints them all.\nSIGTERM and Ctrl-C drain: no new step begins, and agents that are at work go on for the next worker to find.',
    )
    .action(() => runWorker(cli.config(), { signal: cli.interruption() }));
}
