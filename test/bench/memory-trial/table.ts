import type { FigureTable } from '../render.ts';
import { median, spread } from '../statistics.ts';
import type { Trial } from './try-out.ts';

/** Every setting that was tried. */
export type TrialResults = readonly SettingResult[];

export interface SettingResult {
  name: string;
  /** In words. */
  what: string;
  trials: Trial[];
}

export function trialTable(results: TrialResults): FigureTable {
  return {
    title: 'One setting at a time',
    head: ['setting', 'what it does', ...columns.map(([title]) => title)],
    rows: results
      .filter(({ trials }) => trials.length > 0)
      .map(({ name, what, trials }) => [
        `\`${name}\``,
        what,
        ...columns.map(([, pick, digits]) => shown(trials.map(pick), digits)),
      ]),
    note: 'CPU in seconds; memory in MiB, anonymous where nothing else is said. Median, and with several runs the least and the most.',
  };
}

const columns: readonly [title: string, pick: (trial: Trial) => number, digits: number][] = [
  ['CPU, boot', ({ bootCpu }) => bootCpu, 1],
  ['CPU, prompt', ({ bootCpu, cpu }) => cpu - bootCpu, 1],
  ['idle', ({ idle }) => idle.anonymous, 0],
  ['after', ({ after }) => after.anonymous, 0],
  ['5 s later', ({ later }) => later.anonymous, 0],
  ['15 s later', ({ muchLater }) => muchLater.anonymous, 0],
  ['resident at most', ({ peak }) => peak, 0],
];

function shown(figures: readonly number[], digits: number): string {
  const [least, most] = spread(figures);
  const all = figures.length === 1 ? '' : ` (${least.toFixed(digits)}–${most.toFixed(digits)})`;
  return `${median(figures).toFixed(digits)}${all}`;
}
