import Table from 'cli-table3';

/** Figures as people read them, in a terminal or on a page. */
export interface FigureTable {
  title: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
  /** What the columns do not say. */
  note?: string;
}

export function renderTerminal({ title, head, rows, note }: FigureTable): string {
  const table = new Table({ head: [...head], style: { head: [], border: [] } });
  for (const row of rows) table.push([...row]);
  return `\n${title}\n${table.toString()}${note === undefined ? '' : `\n${note}`}`;
}

/** The table alone, each column as wide as its widest cell, as `oxfmt` leaves it. */
export function renderMarkdown({ head, rows }: FigureTable): string {
  const width = (column: number) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => text.padEnd(width(column))).join(' | ')} |`;
  return [line(head), line(head.map((_, column) => '-'.repeat(width(column)))), ...rows.map(line)].join('\n');
}
