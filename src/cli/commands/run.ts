import type { Command } from 'commander';
import { stringify } from 'yaml';
import { startCell } from '../../client/start.ts';
import { tooLarge } from '../../client/start-limits.ts';
import { parseCellRequest, type CellRequest, type ParsedCellRequest } from '../../domain/request.ts';
import { UserError } from '../../domain/user-error.ts';
import { cellNameOf } from '../cell-name.ts';
import type { Cli } from '../cli.ts';
import { planOf } from '../dry-run.ts';
import { exitCodeOf, exitCodes } from '../exit-codes.ts';
import { followCell } from '../follow.ts';
import { outcomeJson, renderOutcome } from '../outcome.ts';
import { createProgress } from '../progress.ts';
import { parseDocument, readInput } from '../request-files.ts';
import { addRequestFlags, fieldsFrom, type RequestFlags } from '../request-flags.ts';

interface RunFlags extends RequestFlags {
  file?: string;
  promptFile?: string;
  detach?: true;
  dryRun?: true;
  json?: true;
}

/** `cells run`: start one cell, follow it, and exit by its status. */
export function define(command: Command, cli: Cli): void {
  addRequestFlags(
    command
      .argument('[prompt]', 'what the agent is to do')
      .option('-f, --file <file>', 'request as YAML or JSON; flags go over it; - is standard input')
      .option('--prompt-file <file>', 'read the prompt from a file; - is standard input'),
  )
    .option('-d, --detach', 'start the cell and return at once')
    .option('-n, --dry-run', 'say what would be made on a host with the settings of this one, and make nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', help)
    .action((prompt: string | undefined, flags: RunFlags) => run(prompt, flags, cli));
}

const help = `
Ctrl-C detaches: the cell goes on. \`cells show <id> --follow\` watches it again, \`cells cancel <id>\` ends it.
Exit status: 0 committed, 3 reverted, 4 unchanged, 5 failed without a verdict, 7 cancelled, 2 invalid request, 6 no Temporal, 130 detached by Ctrl-C.
With --dry-run: 0, or 2 where this host would refuse it.

Example:
  cells run --task-id fix-login --agent-id worker-1 --repository . --test-command 'npm test' 'Make the failing tests pass'`;

async function run(prompt: string | undefined, flags: RunFlags, cli: Cli): Promise<void> {
  const { request, parsed } = await requestFrom(prompt, flags, cli);
  if (flags.dryRun) return dryRun(parsed, flags.json === true, cli);
  await using temporal = await cli.connect();
  const handle = await startCell(temporal.client, request);
  const { workflowId, runId } = handle;
  const name = cellNameOf(workflowId);
  if (flags.detach) {
    cli.print(
      flags.json
        ? JSON.stringify({ workflowId, runId })
        : `started ${name}; watch it with: cells show ${name} --follow`,
    );
    return;
  }
  const signal = cli.interruption();
  const outcome = await watching(
    () => createProgress(cli.stderr, cli.noteColors),
    (progress) => followCell(temporal.client, { handle, name }, { progress, signal }),
  );
  if (outcome === null) {
    cli.note(`detached; ${name} goes on. Watch it: cells show ${name} --follow · end it: cells cancel ${name}`);
    return cli.exit(exitCodes.interrupted);
  }
  cli.print(flags.json ? JSON.stringify(outcomeJson(outcome)) : renderOutcome(name, outcome, cli.colors));
  cli.exit(exitCodeOf(outcome));
}

async function dryRun(request: ParsedCellRequest, json: boolean, cli: Cli): Promise<void> {
  const plan = await planOf(cli.config(), request, cli.interruption());
  cli.print(json ? JSON.stringify(plan) : stringify(plan, { lineWidth: 0 }).trimEnd());
  if (plan.fault === null) return;
  throw new UserError('InvalidCellRequest', `this host would refuse it: ${plan.fault.field}: ${plan.fault.why}`, {
    try: 'correct the field or the settings; other hosts may have other settings',
  });
}

async function watching<Shown extends Disposable, T>(
  open: () => Shown,
  work: (shown: Shown) => Promise<T>,
): Promise<T> {
  using shown = open();
  return await work(shown);
}

async function requestFrom(prompt: string | undefined, flags: RunFlags, cli: Cli): Promise<GivenRequest> {
  const base = flags.file === undefined ? {} : parseDocument(await readInput(flags.file, cli), flags.file);
  if (typeof base !== 'object' || base === null || Array.isArray(base)) {
    throw new UserError('InvalidInput', `${flags.file} does not hold one request`, {
      try: 'for many, use `cells batch`',
    });
  }
  const fromFile = flags.promptFile === undefined ? undefined : await readInput(flags.promptFile, cli);
  const text = prompt ?? fromFile;
  const request: Record<string, unknown> = {
    ...base,
    ...fieldsFrom(flags),
    ...(text === undefined ? {} : { prompt: text }),
  };
  const parsed = parseCellRequest(request);
  if (!parsed.ok)
    throw new UserError('InvalidCellRequest', parsed.message, {
      try: 'see `cells run --help`, and docs/contract.md for all fields',
    });
  const large = tooLarge(request as unknown as CellRequest); // it was parsed just now
  if (large !== null)
    throw new UserError('InvalidCellRequest', large, {
      try: 'put what is large into files of the repository, and name them in the prompt',
    });
  // It was parsed just now; it is sent as it was written.
  return { request: request as unknown as CellRequest, parsed: parsed.request };
}

/** As it was given, and as it is understood. */
interface GivenRequest {
  request: CellRequest;
  parsed: ParsedCellRequest;
}
