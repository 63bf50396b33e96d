import Table from 'cli-table3';
import type { CellOutcome } from '../client/describe.ts';
import type { ListedCell } from '../client/list.ts';
import type { CellReport } from '../domain/outcome.ts';
import type { Colors } from './cli.ts';
import { durationWord, numberWord, oneLine, shortCommit } from './words.ts';

/** Lines of columns under a head; no frames, so that a line can be cut apart by other tools. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[], colors: Colors): string {
  const table = new Table({
    head: head.map((word) => colors.bold(word)),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: frameless,
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** A cell that has ended: the name it was given, and how it ended. */
export interface EndedCell {
  name: string;
  outcome: CellOutcome;
}

/** Task, status, commit, files, tests, tokens and durations of cells that have ended. */
export function outcomeTable(ended: readonly EndedCell[], colors: Colors): string {
  const head = ['cell', 'status', 'commit', 'files', 'tests', 'tokens', 'queue', 'spawn', 'agent', 'test', 'total'];
  return renderTable(
    head,
    ended.map(({ name, outcome }) => [name, statusWord(outcome, colors), ...columnsOf(reportIn(outcome))]),
    colors,
  );
}

/** Cells as the visibility store knows them. */
export function listTable(cells: readonly ListedCell[], colors: Colors, now = Date.now()): string {
  return renderTable(
    ['cell', 'status', 'lifecycle', 'step', 'host', 'tokens', 'age', 'time'],
    cells.map((cell) => [
      `${cell.taskId ?? cell.workflowId}/${cell.agentId ?? ''}`,
      cell.status === 'failed' && cell.failure !== null ? colors.red(cell.failure) : colored(cell.status, colors),
      cell.lifecycle ?? '–',
      cell.step ?? '–',
      cell.host ?? '–',
      numberWord(cell.tokens),
      durationWord(now - cell.startedAt),
      durationWord((cell.closedAt ?? now) - cell.startedAt),
    ]),
    colors,
  );
}

/** `committed`, `reverted`, `unchanged`, or the name of the failure. */
export const statusOf = (outcome: CellOutcome): string =>
  outcome.kind === 'verdict' ? outcome.result.status : outcome.failure.type;

export const statusWord = (outcome: CellOutcome, colors: Colors): string => colored(statusOf(outcome), colors);

/** What is known of an ended cell, verdict or not. */
export const reportIn = (outcome: CellOutcome): CellReport | null =>
  outcome.kind === 'verdict' ? outcome.result : outcome.failure.report;

/** The tests in a few words. */
export function testsWord({ outcome, rounds }: CellReport['tests']): string {
  return rounds > 1 ? `${outcome} (${rounds} rounds)` : outcome;
}

function columnsOf(report: CellReport | null): string[] {
  if (report === null) return Array.from({ length: 9 }, () => '–');
  const { metrics } = report;
  return [
    shortCommit(report.commit),
    filesWord(report),
    testsWord(report.tests),
    numberWord(report.tokens.total),
    ...[metrics.queueMs, metrics.spawnMs, metrics.executionMs, metrics.testMs, metrics.totalMs].map(durationWord),
  ];
}

function filesWord({ filesModified, filesLeftOut = 0 }: CellReport): string {
  const [first, ...others] = filesModified;
  if (first === undefined) return '–';
  const name = oneLine(first.path, 32);
  const more = others.length + filesLeftOut;
  return more === 0 ? name : `${name} +${more}`;
}

function colored(word: string, colors: Colors): string {
  switch (word) {
    case 'committed':
      return colors.green(word);
    case 'running':
      return colors.cyan(word);
    case 'reverted':
    case 'unchanged':
    case 'Cancelled':
    case 'cancelled':
      return colors.yellow(word);
    default:
      return colors.red(word);
  }
}

const frameless = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((part) => [part, '']),
);
