import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { UserError } from '../domain/user-error.ts';
import { version } from '../domain/version.ts';
import { createCli, type Cli, type Streams } from './cli.ts';
import { exitCodeOfError, exitCodes, type ExitCode } from './exit-codes.ts';
import { stateDirectoryFault } from './state-directory-fault.ts';

/**
 * Runs the command line and answers the exit code.
 *
 * @param argv Without the interpreter and the script.
 */
export async function main(argv: readonly string[], streams: Streams = process): Promise<ExitCode> {
  const cli = createCli(streams);
  try {
    const program = await createProgram(argv, cli);
    await program.parseAsync(argv, { from: 'user' });
    return cli.exitCode();
  } catch (error) {
    return report(error, cli);
  }
}

interface Entry {
  summary: string;
  load: () => Promise<{ define: (command: Command, cli: Cli) => void }>;
}

/** Loaded only when chosen, so that `--help` is fast. */
const commands: Readonly<Record<string, Entry>> = {
  dev: {
    summary: 'start a Temporal server, a worker and a model on this machine',
    load: () => import('./commands/dev.ts'),
  },
  worker: { summary: 'serve cells on this host until it is told to end', load: () => import('./commands/worker.ts') },
  run: { summary: 'start one cell and follow it to its end', load: () => import('./commands/run.ts') },
  batch: { summary: 'start many cells from a file and follow them', load: () => import('./commands/batch.ts') },
  list: { summary: 'list cells, the newest first', load: () => import('./commands/list.ts') },
  show: { summary: 'show where a cell stands, its history and its result', load: () => import('./commands/show.ts') },
  logs: {
    summary: 'print what the server, the tests or the agent of a cell said',
    load: () => import('./commands/logs.ts'),
  },
  attach: { summary: "open OpenCode's own terminal on a running cell", load: () => import('./commands/attach.ts') },
  prompt: { summary: 'give the running agent one more instruction', load: () => import('./commands/prompt.ts') },
  extend: { summary: 'give a running cell more tokens or more time', load: () => import('./commands/extend.ts') },
  abort: { summary: 'end a cell now, with a result: its work is reverted', load: () => import('./commands/abort.ts') },
  cancel: {
    summary: 'cancel a cell: its work is reverted, its workflow ends as cancelled',
    load: () => import('./commands/cancel.ts'),
  },
  stats: { summary: 'show what the cells of this host use just now', load: () => import('./commands/stats.ts') },
  history: { summary: 'show what the cells of this host used', load: () => import('./commands/history.ts') },
  inspect: { summary: 'print all that this host knows of a cell', load: () => import('./commands/inspect.ts') },
  supervisor: {
    summary: 'run, or end, the process that keeps the cells of this host',
    load: () => import('./commands/supervisor.ts'),
  },
  config: { summary: 'show and set the defaults of this host', load: () => import('./commands/config.ts') },
  network: {
    summary: 'check, or mend, how cells in Docker reach the services that they may',
    load: () => import('./commands/network.ts'),
  },
  image: { summary: 'make the image that cells in Docker run on', load: () => import('./commands/image.ts') },
  audit: {
    summary: 'print what this host did for whom, and what it refused',
    load: () => import('./commands/audit.ts'),
  },
  reap: { summary: 'release what cells left behind on this host', load: () => import('./commands/reap.ts') },
  doctor: { summary: 'check this host, and say how to mend what is wrong', load: () => import('./commands/doctor.ts') },
  'scripted-model': {
    summary: 'serve a model that plays a script',
    load: () => import('./commands/scripted-model.ts'),
  },
};

async function createProgram(argv: readonly string[], cli: Cli): Promise<Command> {
  const program = new Command('cells')
    .description('Runs coding agents in ephemeral cells, as Temporal workflows.')
    .version(version)
    .showHelpAfterError('(see `cells help` for usage)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void cli.stdout.write(text),
      writeErr: (text) => void cli.stderr.write(text),
    });
  const words = argv.filter((word) => !word.startsWith('-'));
  const [first, second] = words;
  const chosen = first === 'help' ? second : first;
  const completing = chosen === 'complete' || chosen === 'completion';
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program.command(name).summary(summary).description(sentence(summary));
    if (completing || name === chosen) (await load()).define(command, cli);
  }
  const completion = program.command('completion').summary('print a completion script for your shell');
  if (completing) await defineCompletion(program, completion);
  return program;
}

/** The library registers commands of its own: ours makes room. */
async function defineCompletion(program: Command, ours: Command): Promise<void> {
  const { default: tab } = await import('@bomb.sh/tab/commander');
  const list = program.commands;
  // Commander keeps its sub-commands in this list and offers no way to take one out.
  (list as Command[]).splice(list.indexOf(ours), 1);
  tab(program, { completionCommandName: 'completion' });
}

const sentence = (summary: string): string => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;

/** A fault of the user is a message; a fault of ours has a stack. */
function report(error: unknown, cli: Cli): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const fault = error instanceof UserError ? error : faultOfHost(error, cli);
  if (fault !== null) {
    cli.note(`${cli.noteColors.red('error:')} ${fault.message}`);
    if (fault.try !== null) cli.note(`  ${cli.noteColors.dim('→')} ${fault.try}`);
    return exitCodeOfError(fault.code);
  }
  if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted;
  cli.note(`${cli.noteColors.red('This should not happen:')} ${inspect(error)}`);
  return exitCodes.error;
}

function faultOfHost(error: unknown, cli: Cli): UserError | null {
  try {
    return stateDirectoryFault(error, cli.config().stateDirectory);
  } catch {
    // Without settings there is no state directory: the command failed before it had them, or needs none.
    return null;
  }
}

/** How long output may take to leave when everything else is over, milliseconds. */
const lastWords = 5_000;

if (import.meta.main) {
  // `cells list | head` closes the pipe when it has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(exitCodes.ok);
  });
  process.exitCode = await main(process.argv.slice(2));
  // All is done that was to be done: what still hangs, such as a git on a disk that no longer answers, is not waited for.
  setTimeout(() => process.exit(), lastWords).unref();
}
