import { existsSync } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import type { CellPaths } from '../../cell/paths.ts';
import { watchCell } from '../../client/watch.ts';
import { UserError } from '../../domain/user-error.ts';
import { cellArgument, workflowIdFrom } from '../cell-name.ts';
import type { Cli } from '../cli.ts';
import { findLocalCell } from '../local-cell.ts';
import { renderTranscript } from '../transcript.ts';
import { harmless } from '../words.ts';

interface LogsFlags {
  server?: true;
  test?: true;
  transcript?: true;
  diff?: true;
  follow?: true;
  json?: true;
}

/** `cells logs`: what is kept of a cell on this host. */
export function define(command: Command, cli: Cli): void {
  const exclusive = (flags: string, description: string, others: string[]) =>
    new Option(flags, description).conflicts(others);
  command
    .argument(cellArgument.name, cellArgument.description)
    .addOption(exclusive('--server', 'what the OpenCode server wrote (the default)', ['test', 'transcript', 'diff']))
    .addOption(exclusive('--test', 'what the last run of the test command wrote', ['transcript', 'diff']))
    .addOption(exclusive('--transcript', 'what the agent said and did', ['diff', 'follow']))
    .addOption(exclusive('--diff', 'what the agent changed', ['follow']))
    .option('-f, --follow', 'go on until the cell has ended')
    .option('--json', 'with --transcript: as OpenCode keeps it')
    .action((id: string, flags: LogsFlags) => logs(workflowIdFrom(id), flags, cli));
}

async function logs(workflowId: string, flags: LogsFlags, cli: Cli): Promise<void> {
  if (flags.json && !flags.transcript) {
    throw new UserError('InvalidInput', '--json goes with --transcript: all else that is kept is text', {
      try: 'leave --json out, or add --transcript',
    });
  }
  await using temporal = await cli.connect();
  const { described, paths } = await findLocalCell(temporal.client, workflowId, cli.config());
  if (flags.transcript) {
    const content = await readFile(await existing(paths.transcript, 'it is written when the agent has finished'));
    if (flags.json) return write(content, cli, '\n');
    return cli.print(renderTranscript(JSON.parse(content.toString('utf8')), cli.colors));
  }
  if (flags.diff)
    return write(
      await readFile(await existing(paths.diff, 'it is written when the work is committed or reverted')),
      cli,
      '\n',
    );
  const find = () => (flags.test ? lastTest(paths) : Promise.resolve(paths.serverLog));
  if (!flags.follow || described.outcome !== null) {
    const hint = flags.test ? 'the test command has not run' : 'the server was not started';
    return write(await readFile(await existing(await find(), hint)), cli);
  }
  using ended = new DisposableStack();
  const running = new AbortController();
  ended.defer(() => running.abort());
  const signal = cli.interruption();
  const watching = watch(temporal.client, workflowId, {
    runId: described.listing.runId,
    signal: AbortSignal.any([signal, running.signal]),
  });
  void watching.finally(() => running.abort()).catch(() => {});
  await follow(find, cli, AbortSignal.any([signal, running.signal]));
  // A cell that cannot be watched any more has not ended.
  if (!signal.aborted) await watching;
}

/** Byte for byte; to a terminal without what it would obey, for an agent may have written it. */
function write(bytes: Buffer, { stdout }: Cli, end = ''): void {
  stdout.write(stdout.isTTY ? harmless(bytes.toString('utf8')) : bytes);
  stdout.write(end);
}

/** Settles when the cell has ended. */
async function watch(...watched: Parameters<typeof watchCell>): Promise<void> {
  for await (const cell of watchCell(...watched)) if (cell.status !== 'running') return;
}

const lookEveryMs = 250;

/** Copies what is added to a file, and goes over to the next file when `find` names another one. */
async function follow(find: () => Promise<string | null>, cli: Cli, signal: AbortSignal): Promise<void> {
  let current: string | null = null;
  let offset = 0;
  for (;;) {
    const last = signal.aborted;
    const file = await find();
    if (file !== current) {
      current = file;
      offset = 0;
    }
    if (file !== null && existsSync(file)) offset += await copyFrom(file, offset, cli);
    if (last) return;
    await setTimeout(lookEveryMs, undefined, { signal }).catch(() => {});
  }
}

async function copyFrom(file: string, offset: number, cli: Cli): Promise<number> {
  await using handle = await open(file, 'r');
  let copied = 0;
  for await (const chunk of handle.createReadStream({ start: offset, autoClose: false })) {
    const bytes: Buffer = chunk;
    write(bytes, cli);
    copied += bytes.length;
  }
  return copied;
}

/** The output of the latest run of the tests; null when there was none. */
async function lastTest(paths: CellPaths): Promise<string | null> {
  const names = await readdir(paths.artifacts).catch(() => []);
  const rounds = names.flatMap((name) => /^test-(\d+)\.log$/.exec(name)?.[1] ?? []).map(Number);
  return rounds.length === 0 ? null : paths.testOutput(Math.max(...rounds));
}

async function existing(file: string | null, hint: string): Promise<string> {
  if (file !== null && existsSync(file)) return file;
  throw new UserError('NotOnThisHost', 'there is no such log of this cell', { try: hint });
}
