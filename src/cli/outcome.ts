import type { CellOutcome } from '../client/describe.ts';
import { failures, isFailureType } from '../domain/failures.ts';
import type { CellReport, FileChange } from '../domain/outcome.ts';
import type { Colors } from './cli.ts';
import { reportIn, statusWord, testsWord } from './table.ts';
import { durationWord, harmless, numberWord, oneLine } from './words.ts';

/** How a cell ended, for a program: the result as it is, or `status: "failed"` with the failure and the report so far. */
export function outcomeJson(outcome: CellOutcome): Record<string, unknown> {
  if (outcome.kind === 'verdict') return { ...outcome.result };
  const { type, message, report } = outcome.failure;
  const status = type === 'Cancelled' ? 'cancelled' : type === 'Terminated' ? 'terminated' : 'failed';
  return { ...report, status, failure: { type, message } };
}

/** How a cell ended, for a person. */
export function renderOutcome(name: string, outcome: CellOutcome, colors: Colors): string {
  const report = reportIn(outcome);
  const time = report === null ? '' : ` in ${durationWord(report.metrics.totalMs)}`;
  const lines = [`${statusWord(outcome, colors)}  ${colors.bold(name)}${time}`];
  const field = (label: string, value: string) => lines.push(`  ${colors.dim(label.padEnd(9))} ${value}`);
  field('reason', harmless(reasonOf(outcome)));
  if (report !== null) for (const [label, value] of fieldsOf(report)) field(label, value);
  const hint = hintOf(outcome);
  if (hint !== null) field('try', hint);
  if (report?.tests.outcome === 'failed' && report.tests.outputTail.trim() !== '') {
    field('output', 'the end of the tests’ output:');
    lines.push(lastLines(harmless(report.tests.outputTail), 15));
  }
  return lines.join('\n');
}

const reasonOf = (outcome: CellOutcome): string =>
  outcome.kind === 'verdict' ? outcome.result.reason : outcome.failure.message;

function hintOf(outcome: CellOutcome): string | null {
  if (outcome.kind === 'verdict') return null;
  const { type } = outcome.failure;
  return isFailureType(type) ? failures[type].try : null;
}

function* fieldsOf(report: CellReport): Generator<readonly [label: string, value: string]> {
  if (report.branch !== undefined) yield ['branch', `${report.branch} at ${report.commit ?? '?'}`];
  if (report.revertedRef !== undefined) yield ['kept as', report.revertedRef];
  for (const file of report.filesModified.slice(0, 20)) yield ['file', fileWord(file)];
  const moreFiles = report.filesModified.length + (report.filesLeftOut ?? 0) - 20;
  if (moreFiles > 0) yield ['', `and ${moreFiles} more files`];
  if (report.protectedPathsTouched.length > 0) yield ['undone', `${undoneOf(report)} (protected)`];
  yield [
    'tests',
    `${testsWord(report.tests)} ${report.tests.outcome === 'skipped' ? '' : `in ${durationWord(report.tests.durationMs)}`}`.trimEnd(),
  ];
  yield ['tokens', `${numberWord(report.tokens.total)}${report.cost === null ? '' : `, $${report.cost.toFixed(4)}`}`];
  if (report.summary !== '') yield ['summary', oneLine(report.summary, 300)];
  if (report.cellId !== null) yield ['cell', `${report.cellId} on ${report.host ?? '?'} (${report.runtime ?? '?'})`];
}

function undoneOf({ protectedPathsTouched, protectedPathsLeftOut = 0 }: CellReport): string {
  const more = protectedPathsTouched.length + protectedPathsLeftOut - 20;
  const named = protectedPathsTouched.slice(0, 20).map((path) => oneLine(path, 120));
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

const letters = { added: 'A', modified: 'M', deleted: 'D', renamed: 'R' } as const;

function fileWord({ path, change, additions, deletions }: FileChange): string {
  const counts = additions === null || deletions === null ? 'binary' : `+${additions} -${deletions}`;
  return `${letters[change]} ${oneLine(path, 120)} ${counts}`;
}

const lastLines = (text: string, count: number): string =>
  text
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => `    ${line}`)
    .join('\n');
