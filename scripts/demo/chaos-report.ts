import type { Colors } from '../../src/cli/cli.ts';
import { renderTable } from '../../src/cli/table.ts';
import { durationWord } from '../../src/cli/words.ts';
import { plannedStrikes, type Strike } from './chaos.ts';
import type { HostRemains } from './empty-host.ts';

/** What was killed, and when it was mended. */
export function renderStrikes(strikes: readonly Strike[], seed: number, colors: Colors): string {
  const table = renderTable(
    ['killed', 'process', 'of', 'mended after'],
    strikes.map(({ kind, pid, cell, recoveredMs }) => [
      kind,
      String(pid),
      cell ?? 'the host',
      recoveredMs === null ? 'the cell ended first' : durationWord(recoveredMs),
    ]),
    colors,
  );
  const short = plannedStrikes.length - strikes.length;
  const missed =
    short === 0 ? '' : `\n${short} more were planned, and found no agent at work: take more cells (--cells)`;
  return `\n${colors.bold(`Killed with SIGKILL, seed ${seed}`)}\n${table}${missed}`;
}

/** One line for what the cells have left on the host, and one for each thing that is left. */
export function renderRemains(remains: HostRemains): string {
  const kinds = Object.entries(remains) as [string, string[]][]; // every field of it is a list
  const counts = kinds.map(([kind, list]) => `${list.length} ${kind}`).join(', ');
  const left = kinds.flatMap(([kind, list]) => list.map((item) => `  ${kind}: ${item}`));
  return [`\nLeft on the host by the cells: ${counts}`, ...left].join('\n');
}

/** Whether all was killed that was planned, and nothing is left. */
export function isClean(strikes: readonly Strike[], remains: HostRemains): boolean {
  return (
    strikes.length === plannedStrikes.length && Object.values(remains).every((list: string[]) => list.length === 0)
  );
}
