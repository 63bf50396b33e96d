import type { CellState } from '../src/domain/outcome.ts';

/** The current details of the workflow in the Web UI: the state of the cell as a short Markdown table. */
export function detailsOf(state: CellState): string {
  const rows: [string, string][] = [
    ['Lifecycle', state.lifecycle],
    ['Step', state.step],
    ['Since', new Date(state.since).toISOString()],
    ['Cell', state.cell.cellId ?? 'waits for a host'],
    ['Host', state.cell.host ?? '–'],
    ['Runtime', state.cell.runtime ?? '–'],
    ['Port', state.cell.port === null ? '–' : String(state.cell.port)],
    ['Branch', state.cell.branch],
    ['Tokens', `${state.tokens.total} of ${state.tokenBudget}`],
    ...(state.waitingFor === null ? [] : [['Waits for', inCell(state.waitingFor)] as [string, string]]),
    ...(state.memoryAlert === null ? [] : [['Memory', inCell(state.memoryAlert)] as [string, string]]),
    ['Tests', testsOf(state.tests)],
    ['Last activity', state.lastActivity === null ? '–' : new Date(state.lastActivity).toISOString()],
  ];
  return ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

/** What a provider says must not break the table. */
const inCell = (text: string): string => text.replaceAll('|', '/').replaceAll(/\s+/g, ' ');

function testsOf({ outcome, rounds }: CellState['tests']): string {
  return rounds === 0 ? outcome : `${outcome}, ${rounds} ${rounds === 1 ? 'run' : 'runs'}`;
}
