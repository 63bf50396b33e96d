import type { Look } from '../growth.ts';
import type { FigureTable } from '../render.ts';
import { median, slope } from '../statistics.ts';

export interface SoakResults {
  at: string;
  commit: string;
  minutes: number;
  rounds: number;
  cells: number;
  /** What did not hold, each as a line. */
  problems: string[];
  /** After each round, and before the first. */
  looks: (Look & { minute: number })[];
  trend: Trend;
}

/** By how much it grows in an hour, over the second half of the time: MiB, and open files. */
export type Trend = Look;

const parts = ['worker', 'supervisor', 'workerFiles', 'supervisorFiles'] as const satisfies (keyof Look)[];

/** Of the second half: what is filled once, such as caches and code, is filled in the first. */
export function trendOf(looks: SoakResults['looks']): Trend {
  const half = looks.slice(Math.floor(looks.length / 2));
  const perHour = (part: keyof Look) => 60 * slope(half.map((each) => ({ x: each.minute, y: each[part] })));
  return {
    worker: perHour('worker'),
    supervisor: perHour('supervisor'),
    workerFiles: perHour('workerFiles'),
    supervisorFiles: perHour('supervisorFiles'),
  };
}

/** From here on a trend says something. */
const longEnough = 30;
/** More than this in an hour is a leak: MiB, and files. */
const limits: Look = { worker: 64, supervisor: 16, workerFiles: 60, supervisorFiles: 60 };

/** What grows too fast, each as a line; nothing is said of short runs. */
export function leaksIn({ minutes, trend }: Pick<SoakResults, 'minutes' | 'trend'>): string[] {
  if (minutes < longEnough) return [];
  const tooFast = parts.filter((part) => trend[part] > limits[part]);
  return tooFast.map((part) => `${part} grows by ${trend[part].toFixed(1)} an hour; the limit is ${limits[part]}`);
}

export function soakTable({ rounds, cells, minutes, looks, trend, problems }: SoakResults): FigureTable {
  const quarter = Math.max(1, Math.floor(looks.length / 4));
  const middle = (some: SoakResults['looks'], part: keyof Look) => median(some.map((each) => each[part])).toFixed(0);
  const row = (name: string, part: keyof Look) => [
    name,
    middle(looks.slice(0, quarter), part),
    middle(looks.slice(-quarter), part),
    trend[part].toFixed(1),
  ];
  return {
    title: `${cells} cells in ${rounds} rounds, ${minutes.toFixed(0)} minutes`,
    head: ['what', 'first quarter', 'last quarter', 'in an hour, second half'],
    rows: [
      row('worker, anonymous MiB', 'worker'),
      row('worker, open files', 'workerFiles'),
      row('supervisor, anonymous MiB', 'supervisor'),
      row('supervisor, open files', 'supervisorFiles'),
    ],
    note: problems.length === 0 ? 'Every verdict right, every prompt sent once, nothing left.' : problems.join('; '),
  };
}
