import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { openCell, startCell, type CellHandle } from '../../client/start.ts';
import { workflowIdOf } from '../../domain/names.ts';
import type { CellRequest } from '../../domain/request.ts';
import { UserError } from '../../domain/user-error.ts';
import type { CellOutcome } from '../../client/describe.ts';
import { cellNameOf } from '../cell-name.ts';
import type { Cli } from '../cli.ts';
import { exitCodeOf, exitCodes, worstOf } from '../exit-codes.ts';
import { followCell } from '../follow.ts';
import { outcomeJson } from '../outcome.ts';
import { createProgress, type Progress } from '../progress.ts';
import { parseBatch, readInput } from '../request-files.ts';
import { outcomeTable, type EndedCell } from '../table.ts';

interface BatchFlags {
  detach?: true;
  json?: true;
}

/** `cells batch`: start many cells and follow them. How many run at once is decided by the hosts' capacity. */
export function define(command: Command, cli: Cli): void {
  command
    .argument('<file>', 'requests: one JSON object a line, or a YAML list; - is standard input')
    .option('-d, --detach', 'start the cells and return at once')
    .option('--json', 'print each result as a line of JSON, as it comes')
    .addHelpText('after', help)
    .action((file: string, flags: BatchFlags) => batch(file, flags, cli));
}

const help = `
All requests are checked before the first is started. A cell that runs already is followed, so a batch can be given again.
Exit status: that of the worst cell: 5 failed, 7 cancelled, 3 reverted, 4 unchanged, 0 all committed.`;

async function batch(file: string, flags: BatchFlags, cli: Cli): Promise<void> {
  const requests = parseBatch(await readInput(file, cli), file);
  await using temporal = await cli.connect();
  const signal = cli.interruption();
  const { ended, started } = await startAndFollow(requests, temporal.client, { flags, cli, signal });
  const left = requests.length - started;
  if (flags.detach) {
    if (left === 0) return;
    cli.note(`interrupted; ${left} of ${requests.length} cells were not started. Give the batch again to start them`);
    return cli.exit(exitCodes.interrupted);
  }
  if (!flags.json) cli.print(outcomeTable(ended, cli.colors));
  if (signal.aborted) {
    const going = started - ended.length;
    cli.note(
      `detached; ${going === 1 ? '1 cell goes' : `${going} cells go`} on${left === 0 ? '' : `, and ${left} were not started`}. See them with: cells list --status running`,
    );
    return cli.exit(exitCodes.interrupted);
  }
  cli.exit(worstOf(ended.map(({ outcome }) => exitCodeOf(outcome))));
}

interface Surroundings {
  flags: BatchFlags;
  cli: Cli;
  signal: AbortSignal;
}

async function startAndFollow(
  requests: readonly CellRequest[],
  client: Client,
  { flags, cli, signal }: Surroundings,
): Promise<{ ended: EndedCell[]; started: number }> {
  using progress = createProgress(cli.stderr, cli.noteColors);
  const ended: EndedCell[] = [];
  const following: Promise<void>[] = [];
  let started = 0;
  const failed = new AbortController();
  const watched = AbortSignal.any([signal, failed.signal]);
  // Many cells are looked at less often each: the server and the workers have better to do.
  const intervalMs = Math.max(500, requests.length * 40);
  try {
    for (const request of requests) {
      if (signal.aborted) break;
      const handle = await startWhenAllowed(client, request, progress, signal);
      if (handle === null) break;
      started += 1;
      const name = cellNameOf(handle.workflowId);
      if (flags.detach) {
        cli.print(
          flags.json ? JSON.stringify({ workflowId: handle.workflowId, runId: handle.runId }) : `started ${name}`,
        );
        continue;
      }
      const settled = (outcome: CellOutcome | null) => {
        if (outcome === null) return;
        ended.push({ name, outcome });
        if (flags.json) cli.print(JSON.stringify(outcomeJson(outcome)));
      };
      const followed = followCell(client, { handle, name }, { progress, signal: watched, intervalMs }).then(settled);
      // What it throws is thrown below; until then others are started.
      followed.catch(() => undefined);
      following.push(followed);
    }
    await Promise.all(following);
  } finally {
    // Nobody looks any more once the connection is closed.
    failed.abort();
    await Promise.allSettled(following);
  }
  return { ended, started };
}

/** How long a batch waits before it tries to start more, milliseconds. */
const pause = 5_000;

/** Waits where the limit of starts per minute is reached. Null when the signal aborted meanwhile. */
async function startWhenAllowed(
  client: Client,
  request: CellRequest,
  progress: Progress,
  signal: AbortSignal,
): Promise<CellHandle | null> {
  for (let told = false; !signal.aborted; told = true) {
    try {
      return await startOrOpen(client, request, progress);
    } catch (error) {
      if (!(error instanceof UserError) || error.code !== 'TooManyStarts') throw error;
      if (!told) progress.say(`${error.message}; the rest of the batch waits`);
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }
  return null;
}

async function startOrOpen(client: Client, request: CellRequest, progress: Progress): Promise<CellHandle> {
  try {
    return await startCell(client, request);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'CellAlreadyRunning') throw error;
    progress.say(`${request.taskId}/${request.agentId} runs already; it is followed`);
    return await openCell(client, workflowIdOf(request));
  }
}
