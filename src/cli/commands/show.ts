import type { Command } from 'commander';
import { describeCell, type DescribedCell } from '../../client/describe.ts';
import { openCell } from '../../client/start.ts';
import { admissionWord, localAdmission } from '../admission.ts';
import { cellArgument, cellNameOf, workflowIdFrom } from '../cell-name.ts';
import type { Cli, Colors } from '../cli.ts';
import { exitCodeOf, exitCodes } from '../exit-codes.ts';
import { followCell } from '../follow.ts';
import { outcomeJson, renderOutcome } from '../outcome.ts';
import { createProgress } from '../progress.ts';
import { durationWord, oneLine, timeWord, tokensWord } from '../words.ts';

interface ShowFlags {
  follow?: true;
  json?: true;
}

/** `cells show`: where a cell stands, what it waits for, how it came here, and how it ended. */
export function define(command: Command, cli: Cli): void {
  command
    .argument(cellArgument.name, cellArgument.description)
    .option('-f, --follow', 'follow the cell to its end, and exit by its status as `run` does')
    .option('--json', 'print as JSON')
    .action((id: string, flags: ShowFlags) => show(workflowIdFrom(id), flags, cli));
}

async function show(workflowId: string, { follow, json }: ShowFlags, cli: Cli): Promise<void> {
  await using temporal = await cli.connect();
  if (follow) {
    using progress = createProgress(cli.stderr, cli.noteColors);
    const handle = await openCell(temporal.client, workflowId);
    const outcome = await followCell(
      temporal.client,
      { handle, name: cellNameOf(workflowId) },
      { progress, signal: cli.interruption() },
    );
    if (outcome === null) return cli.exit(exitCodes.interrupted);
    cli.exit(exitCodeOf(outcome));
  }
  const cell = await describeCell(temporal.client, workflowId);
  const shown = { ...cell, thisHost: cell.queue === null ? null : await thisHost(cli) };
  cli.print(json ? JSON.stringify(jsonOf(shown)) : renderCell(shown, cli.colors));
}

/** With what the worker of this host says of claims, while the cell waits for a host and there is such a worker. */
interface ShownCell extends DescribedCell {
  thisHost: Awaited<ReturnType<typeof localAdmission>>;
}

async function thisHost(cli: Cli): Promise<ShownCell['thisHost']> {
  const state = await localAdmission(cli.config().stateDirectory);
  return state?.fresh ? state : null;
}

function jsonOf({ outcome, ...cell }: ShownCell): Record<string, unknown> {
  return { ...cell, outcome: outcome === null ? null : outcomeJson(outcome) };
}

/** A cell for a person. */
export function renderCell(cell: ShownCell, colors: Colors): string {
  const { listing, state, outcome } = cell;
  const name = cellNameOf(listing.workflowId);
  const parts = [
    outcome === null ? renderRunning(name, cell, colors) : renderOutcome(name, outcome, colors),
    fields([['workflow', `${listing.workflowId} (run ${listing.runId})`], ...labelsOf(cell)], colors),
    historyOf(state.history, colors),
    state.complete || outcome !== null
      ? ''
      : colors.dim('no worker answered the query: this is what was published last'),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function renderRunning(
  name: string,
  { listing, state, pending, queue, thisHost: host }: ShownCell,
  colors: Colors,
): string {
  const { cell } = state;
  const heard =
    state.lastActivity === null ? '' : `, last heard of ${durationWord(Date.now() - state.lastActivity)} ago`;
  return [
    `${colors.cyan(`${state.lifecycle}/${state.step}`)}  ${colors.bold(name)} for ${durationWord(Date.now() - listing.startedAt)}`,
    fields(
      [
        ...(state.waitingFor === null ? [] : [['waits for', oneLine(state.waitingFor, 200)] as const]),
        ...(state.memoryAlert === null ? [] : [['memory', state.memoryAlert] as const]),
        ...(queue === null ? [] : [['because', queue.why] as const]),
        ...(host === null ? [] : [[host.host, `claims cells: ${admissionWord(host)}`] as const]),
        ...(state.doing === null ? [] : [['agent', `${oneLine(state.doing, 200)}${heard}`] as const]),
        ['tokens', tokensWord(state.tokens.total, state.tokenBudget)],
        ['tests', state.tests.rounds === 0 ? 'not yet' : `${state.tests.outcome} after ${state.tests.rounds} rounds`],
        ...(cell.cellId === null
          ? []
          : [
              [
                'cell',
                `${cell.cellId} on ${cell.host ?? '?'} (${cell.runtime ?? '?'}), port ${cell.port ?? '–'}`,
              ] as const,
            ]),
        ...(cell.worktree === null ? [] : [['worktree', cell.worktree] as const]),
        ...pending.map(
          (step) =>
            [
              'step',
              `${step.activity} ${step.state}, attempt ${step.attempt}${step.worker === null ? '' : ` at ${step.worker}`}`,
            ] as const,
        ),
      ],
      colors,
    ),
  ].join('\n');
}

const labelsOf = ({ labels }: DescribedCell) =>
  Object.entries(labels).map(([name, value]) => ['label', `${name}=${oneLine(value, 200)}`] as const);

const fields = (lines: readonly (readonly [label: string, value: string])[], colors: Colors): string =>
  lines.map(([label, value]) => `  ${colors.dim(label.padEnd(9))} ${value}`).join('\n');

function historyOf(history: DescribedCell['state']['history'], colors: Colors): string {
  if (history.length === 0) return '';
  const lines = history.map(({ lifecycle, step, at, reason }, index) => {
    const next = history[index + 1];
    const lasted = next === undefined ? '' : `  ${durationWord(next.at - at)}`;
    const why = reason === undefined ? '' : `  ${colors.dim(oneLine(reason, 200))}`;
    return `  ${timeWord(at)}  ${`${lifecycle}/${step}`.padEnd(22)}${lasted}`.trimEnd() + why;
  });
  return [colors.dim('  history'), ...lines].join('\n');
}
