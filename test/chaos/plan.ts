import { faults } from './faults/index.ts';
import { type Fault, nameOf, type Pair, type Setting } from './pair.ts';
import { type Random, shuffled } from './random.ts';

/** What is done at once: a fault of the whole host, faults of single cells, or faults at random. */
export type Act =
  | { kind: 'host'; setting: Setting; fault: Fault }
  | { kind: 'cells'; setting: Setting; pairs: readonly Pair[] }
  | { kind: 'storm'; setting: Setting; cells: number };

type Half = 'first' | 'second';

export interface PlanOptions {
  /** The part that is tried with every change. */
  quick: boolean;
  /** Every other pair, from the first on or from the second: suites in two runtimes share the pairs. Default: all */
  half?: Half;
  /** `<fault>` or `<fault>@<step>`: nothing but these, where there are any. */
  only: readonly string[];
  /** How many cells at least; what the pairs do not need meets faults at random. */
  cells: number;
  random: Random;
}

/** Faults that cannot be tried on this machine, each with its reason. */
export type Skipped = readonly { fault: string; why: string }[];

/** Of every family something, and of what ends a worker or a supervisor every step. */
const quick = [
  'worker SIGKILL',
  'supervisor SIGKILL',
  'worker SIGTERM@commit',
  'server SIGKILL@execute/prompt',
  'server SIGKILL before a repair',
  'cancellation@commit',
  'abort signal@execute',
  'worktree deleted@execute',
  'lease truncated@test',
  "cell's branch made by another@commit",
  'index.lock left in the worktree@execute',
  'model cuts its stream',
  'tests delete .git',
  'agent daemonises',
  'port taken by a stranger',
];

const stormSize = 20;

/** What is left of the number of a pair, divided by two. */
const halves: Readonly<Record<Half, number>> = { first: 0, second: 1 };

/** Puts the pairs of a run into acts: in one setting after the other, the cells of a fault of the host together. */
export async function planOf(options: PlanOptions): Promise<{ acts: Act[]; skipped: Skipped }> {
  const possible = await Promise.all(
    faults.map(async (fault) => ({ fault, why: (await fault.impossible?.()) ?? null })),
  );
  const wanted = faults.flatMap(({ pairs }) => pairs.filter((pair) => isWanted(pair, options)));
  const shared = new Set(wanted.filter((_, index) => options.half === undefined || index % 2 === halves[options.half]));
  const chosen = possible.flatMap(({ fault, why }) => {
    const pairs = fault.pairs.filter((pair) => shared.has(pair));
    return pairs.length === 0 ? [] : [{ fault: { ...fault, pairs }, why }];
  });
  const able = chosen.flatMap(({ fault, why }) => (why === null ? [fault] : []));
  const acts = (['plain', 'impatient', 'small-disk', 'shifted-clock', 'soon-lost'] as const).flatMap((setting) =>
    actsIn(
      setting,
      able.filter((fault) => (fault.setting ?? 'plain') === setting),
      options.random,
    ),
  );
  const planned = able.reduce((sum, { pairs }) => sum + pairs.length, 0);
  return {
    acts: [...(options.only.length === 0 ? storms(options.cells - planned) : []), ...acts],
    skipped: chosen.flatMap(({ fault, why }) => (why === null ? [] : [{ fault: fault.name, why }])),
  };
}

function isWanted(pair: Pair, { quick: isQuick, only }: PlanOptions): boolean {
  const names = [pair.fault, `${pair.fault}@${pair.step}`, nameOf(pair)];
  if (only.length > 0) return names.some((name) => only.includes(name));
  return !isQuick || names.some((name) => quick.includes(name));
}

function actsIn(setting: Setting, able: readonly Fault[], random: Random): Act[] {
  const ofHost = able.filter(({ strikeHost }) => strikeHost);
  const pairs = able.filter(({ strikeHost }) => !strikeHost).flatMap((fault) => fault.pairs);
  return [
    ...ofHost.map((fault): Act => ({ kind: 'host', setting, fault })),
    ...(pairs.length === 0 ? [] : [{ kind: 'cells' as const, setting, pairs: shuffled(pairs, random) }]),
  ];
}

function storms(cells: number): Act[] {
  const count = Math.max(0, Math.ceil(cells / stormSize));
  return Array.from({ length: count }, (_, index): Act => {
    const left = cells - index * stormSize;
    return { kind: 'storm', setting: 'plain', cells: Math.min(stormSize, left) };
  });
}
