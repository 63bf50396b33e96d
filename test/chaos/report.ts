import Table from 'cli-table3';
import prettyMilliseconds from 'pretty-ms';
import { steps } from './pair.ts';
import type { Skipped } from './plan.ts';
import type { Trial } from './run.ts';

/** What a run found out. */
export interface Report {
  seed: number;
  durationMs: number;
  trials: readonly Trial[];
  skipped: Skipped;
  /** Of no single cell: histories, and what is left on the machine. */
  problems: readonly string[];
}

const columns = [...steps, 'any'] as const;

/** Whether every invariant held. */
export const holds = ({ trials, problems }: Report): boolean =>
  problems.length === 0 &&
  trials.length > 0 &&
  trials.every((trial) => trial.problems.length + trial.leftovers.length === 0);

/** Faults in rows, steps in columns, the verdicts where they meet; what went wrong below. */
export function renderReport(report: Report): string {
  const { trials } = report;
  const table = new Table({
    head: ['fault', ...columns, 'left', 'sent twice', 'time'],
    style: { head: [], border: [] },
  });
  for (const [fault, ofFault] of Map.groupBy(trials, (trial) => trial.fault)) {
    const sum = (count: (trial: Trial) => number) => ofFault.reduce((total, trial) => total + count(trial), 0);
    table.push([
      fault,
      ...columns.map((step) => verdictsAt(ofFault, step)),
      sum(({ leftovers }) => leftovers.length),
      sum(({ promptsTwice }) => promptsTwice),
      time(Math.max(...ofFault.map(({ durationMs }) => durationMs))),
    ]);
  }
  return [table.toString(), ...notes(report), summary(report)].join('\n');
}

function verdictsAt(trials: readonly Trial[], step: Trial['step']): string {
  const there = Map.groupBy(
    trials.filter((trial) => trial.step === step),
    ({ verdict }) => verdict,
  );
  return [...there]
    .map(([verdict, ofVerdict]) => {
      const isWrong = ofVerdict.some(({ problems, leftovers }) => problems.length + leftovers.length > 0);
      return `${isWrong ? '✗ ' : ''}${verdict}${ofVerdict.length > 1 ? ` ×${ofVerdict.length}` : ''}`;
    })
    .join('\n');
}

function notes({ trials, skipped, problems }: Report): string[] {
  return [
    ...skipped.map(({ fault, why }) => `skipped: ${fault}: ${why}`),
    ...trials.flatMap((trial) =>
      [...trial.problems, ...trial.leftovers.map((line) => `left: ${line}`)].map(
        (line) => `✗ ${trial.fault} @ ${trial.step}: ${line}`,
      ),
    ),
    ...problems.map((line) => `✗ ${line}`),
  ];
}

function summary({ seed, trials, durationMs, problems }: Report): string {
  const pairs = new Set(trials.map(({ name }) => name)).size;
  const count = (of: (trial: Trial) => number) => trials.reduce((total, trial) => total + of(trial), 0);
  const wrong = count((trial) => (trial.problems.length > 0 ? 1 : 0)) + problems.length;
  return [
    `${pairs} fault-and-step pairs, ${trials.length} cells, ${wrong} wrong,`,
    `${count(({ leftovers }) => leftovers.length)} left over, ${count(({ promptsTwice }) => promptsTwice)} prompts sent twice,`,
    `${time(durationMs)}, seed ${seed}`,
  ].join(' ');
}

/** One line when a cell has ended. */
export function renderTrial({ fault, step, verdict, problems, leftovers, durationMs }: Trial): string {
  const wrong = [...problems, ...leftovers.map((line) => `left: ${line}`)];
  return [
    `${wrong.length > 0 ? '✗' : '✓'} ${fault} @ ${step}: ${verdict}, ${time(durationMs)}`,
    ...wrong.map((line) => `    ${line}`),
  ].join('\n');
}

const time = (milliseconds: number): string => prettyMilliseconds(milliseconds, { secondsDecimalDigits: 0 });
