/**
 * The demo: a Temporal server, a worker, a sample repository and five agents on this machine, from nothing to a table.
 * `npm run demo [-- --keep | --model provider/model | --json]`
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createCli, type Cli } from '../src/cli/cli.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { UserError } from '../src/domain/user-error.ts';
import { openStage, type Stage } from './demo/stage.ts';
import { asExpected, runTasks } from './demo/tasks.ts';
import { renderDemo, demoJson } from './demo/report.ts';

const usage = `npm run demo -- [options]

  --keep                   stay up at the end until Ctrl-C, to look around in the Web UI and the sample repository
  --model provider/model   use a real model, with its API key from the environment, instead of the scripted one
  --json                   print the result as JSON
`;

process.exitCode = await demo(process.argv.slice(2), createCli(process));

async function demo(argv: string[], cli: Cli): Promise<number> {
  try {
    const flags = flagsFrom(argv);
    if (flags.help) {
      cli.print(usage);
      return exitCodes.ok;
    }
    return await play(flags, cli);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    cli.note(`${cli.noteColors.red('error:')} ${error.message}`);
    if (error.try !== null) cli.note(`  → ${error.try}`);
    return exitCodes.error;
  }
}

interface Flags {
  keep: boolean;
  model: string | undefined;
  json: boolean;
  help: boolean;
}

function flagsFrom(args: string[]): Flags {
  try {
    const off = { type: 'boolean', default: false } as const;
    const { values } = parseArgs({ args, options: { keep: off, json: off, help: off, model: { type: 'string' } } });
    return { ...values, model: values.model };
  } catch (cause) {
    throw new UserError('InvalidInput', cause instanceof Error ? cause.message : String(cause), {
      try: usage.trimEnd(),
      cause,
    });
  }
}

async function play({ keep, model, json }: Flags, cli: Cli): Promise<number> {
  const signal = cli.interruption();
  await using stage = await openStage({ model, cli, signal });
  const ended = await runTasks(stage, cli, signal);
  if (signal.aborted) {
    cli.note('interrupted; ending the cells …');
    return exitCodes.interrupted;
  }
  const right = ended.every((task) => asExpected(task, model === undefined));
  if (json) cli.print(JSON.stringify(await demoJson(stage, ended, right)));
  else cli.print(await renderDemo(stage, ended, { colors: cli.colors, kept: keep }));
  if (!right) stage.keepFiles();
  if (keep) await stay(stage, cli, signal);
  return right ? exitCodes.ok : exitCodes.error;
}

async function stay(stage: Stage, cli: Cli, signal: AbortSignal): Promise<void> {
  cli.note(
    `\nEverything stays up until Ctrl-C. In another terminal:\n  TEMPORAL_ADDRESS=${stage.temporal.address} npx cells list`,
  );
  await once(signal, 'abort');
}
