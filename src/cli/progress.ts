import { createLogUpdate } from 'log-update';
import type { WatchedCell } from '../client/watch.ts';
import type { Colors, Output } from './cli.ts';
import { renderTable } from './table.ts';
import { durationWord, oneLine, tokensWord } from './words.ts';

/** One cell in the progress. */
export interface ProgressRow {
  name: string;
  lifecycle: string;
  step: string;
  tokens: number;
  tokenBudget: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** Null while it runs. */
  endedAt: number | null;
  /** What the agent does, what the cell waits for, or how it ended. */
  note: string;
}

/** Shows how cells come along: a table that renews itself on a terminal, a line for each change elsewhere. */
export interface Progress extends Disposable {
  show(row: ProgressRow): void;
  /** Writes a line that stays. */
  say(line: string): void;
}

/** Starts showing. Dispose it before anything else is written to the stream. */
export function createProgress(output: Output, colors: Colors): Progress {
  return output.isTTY === true ? liveProgress(output, colors) : plainProgress(output);
}

/** The row of a watched cell. */
export function rowOf(name: string, startedAt: number, cell: WatchedCell): ProgressRow {
  return {
    name,
    startedAt,
    lifecycle: cell.lifecycle,
    step: cell.step,
    tokens: cell.tokens.total,
    tokenBudget: cell.tokenBudget,
    endedAt: null,
    note: cell.doing ?? (cell.waitingFor === null ? '' : `waits for ${cell.waitingFor}`),
  };
}

/** The table of the progress at a moment; as many rows as fit, those that run before those that have ended. */
export function renderProgress(
  rows: readonly ProgressRow[],
  view: { now: number; columns: number; lines: number },
  colors: Colors,
): string {
  const running = rows.filter(({ endedAt }) => endedAt === null);
  const room = Math.max(1, view.lines - 3);
  const shown =
    rows.length <= room ? rows : [...running, ...rows.filter(({ endedAt }) => endedAt !== null)].slice(0, room);
  const table = renderTable(
    ['cell', 'lifecycle', 'step', 'tokens', 'time', ''],
    shown.map((row) => [
      row.name,
      lifecycleWord(row, colors),
      row.step,
      tokensWord(row.tokens, row.tokenBudget),
      durationWord((row.endedAt ?? view.now) - row.startedAt),
      oneLine(row.note, Math.max(16, view.columns - 84)),
    ]),
    colors,
  );
  const ended = rows.length - running.length;
  const more = rows.length - shown.length;
  const total = `${ended} of ${rows.length} ended${more > 0 ? `, ${more} not shown` : ''}`;
  return rows.length === 1 ? table : `${table}\n${colors.dim(total)}`;
}

function liveProgress(output: Output, colors: Colors): Progress {
  // log-update wants a terminal stream; that it is one was just seen.
  const update = createLogUpdate(output as NodeJS.WriteStream);
  const rows = new Map<string, ProgressRow>();
  const draw = () => {
    if (rows.size === 0) return;
    update(
      renderProgress(
        [...rows.values()],
        { now: Date.now(), columns: output.columns ?? 100, lines: output.rows ?? 24 },
        colors,
      ),
    );
  };
  // The time goes on while nothing else changes; half a second keeps it even without flicker.
  const timer = setInterval(draw, 500).unref();
  return {
    show: (row) => void rows.set(row.name, row),
    say(line) {
      update.clear();
      output.write(`${line}\n`);
      draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      draw();
      update.done();
    },
  };
}

/** For logs and pipes: a line when the lifecycle, the step or the note's kind changes, not for every token. */
function plainProgress(output: Output): Progress {
  const last = new Map<string, string>();
  return {
    show(row) {
      const stage = row.endedAt === null ? `${row.lifecycle}/${row.step}` : row.note;
      if (last.get(row.name) === stage) return;
      last.set(row.name, stage);
      output.write(`${plainLine(row, Date.now())}\n`);
    },
    say: (line) => void output.write(`${line}\n`),
    [Symbol.dispose]() {},
  };
}

/** One change as a line. */
export function plainLine(row: ProgressRow, now: number): string {
  const time = durationWord((row.endedAt ?? now) - row.startedAt).padStart(7);
  const stage = `${row.lifecycle}/${row.step}`.padEnd(22);
  const note = row.note === '' ? '' : `  ${oneLine(row.note, 100)}`;
  return `${time}  ${row.name}  ${stage}  ${tokensWord(row.tokens, row.tokenBudget)} tokens${note}`;
}

function lifecycleWord({ lifecycle, endedAt }: ProgressRow, colors: Colors): string {
  if (endedAt !== null) return colors.dim(lifecycle);
  return lifecycle === 'error' || lifecycle === 'failed' ? colors.red(lifecycle) : colors.cyan(lifecycle);
}
