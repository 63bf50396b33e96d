import { isolations } from '../../src/domain/request.ts';
import type { FigureTable } from './render.ts';
import type {
  BenchResults,
  CellCost,
  Distribution,
  FloorFigures,
  GatewayFigures,
  HeldFigures,
  PartFigures,
  RunFigures,
  RuntimeRun,
  RuntimesFigures,
  SequenceFigures,
  SpawnFigures,
  WayFigures,
} from './results.ts';
import { distribution, median, spread, sum } from './statistics.ts';

/** All that a run of the bench says, a table for each question. */
export function benchTables({ parts, left }: BenchResults): FigureTable[] {
  const { held, sequence, floor, spawn, gateway, runtimes } = parts;
  const runs = runsIn(parts);
  return [
    ...(held ? [timesTable(held), memoryTable(held)] : []),
    ...(runs.length > 0 ? [costTable(runs)] : []),
    ...(sequence ? [growthTable(sequence)] : []),
    ...(floor ? [floorTable(floor, runs)] : []),
    ...(spawn ? [spawnTable(spawn)] : []),
    ...(gateway ? [gatewayTable(gateway)] : []),
    ...(runtimes ? [runtimesTable(runtimes)] : []),
    {
      title: 'What was left',
      head: ['part', 'processes, ports, worktrees, leases, directories'],
      rows: Object.entries(left).map(([part, lines]) => [part, lines.length === 0 ? 'none' : lines.join('; ')]),
    },
  ];
}

/** Runs of the same kind, under one name. */
export interface NamedRuns {
  name: string;
  runs: readonly RunFigures[];
}

export function runsIn({ held, sequence, 'at-once': atOnce = [] }: Partial<PartFigures>): NamedRuns[] {
  return [
    ...atOnce.map(({ size, runs }) => ({ name: `${size} at once`, runs })),
    ...(held ? [{ name: `${held.cells} held at once`, runs: [held] }] : []),
    ...(sequence
      ? [{ name: `${sequence.cells} in sequence, ${sequence.concurrency} at a time`, runs: [sequence] }]
      : []),
  ];
}

/** Seconds of processor time, with the Temporal server's or without. */
const totalCost = ({ cell, worker, git, supervisor }: CellCost): number => sum([cell, worker, git, supervisor]);

function timesTable({ cells, times, held, verdict }: HeldFigures): FigureTable {
  const row = (name: string, figures: Distribution) => [
    name,
    ...[figures.p50, figures.p95, figures.least, figures.most].map(duration),
  ];
  return {
    title: `${cells} cells alive at once: how long each part of a cell's life took`,
    head: ['part', 'p50', 'p95', 'least', 'most'],
    rows: [
      row('queue', times.queue),
      row('spawn', times.spawn),
      row('first token', times.firstToken),
      row('held after its edit', held),
      row('test', times.test),
      row('commit', times.commit),
      row('teardown', times.teardown),
      row('verdict, without the time held', verdict),
    ],
  };
}

function memoryTable({ cells, perCell, together, peakResident, peak, machine }: HeldFigures): FigureTable {
  return {
    title: `${cells} cells alive at once: memory, when each had edited its file`,
    head: ['what', 'figure'],
    rows: [
      ['a cell, median (least to most)', withSpread(perCell, mebibytes)],
      ['all cells', mebibytes(together.cells)],
      ['worker', mebibytes(together.worker)],
      ['supervisor', mebibytes(together.supervisor)],
      ['Temporal server', mebibytes(together.temporal)],
      ['all cells, the most of all samples', mebibytes(peak.cells)],
      ['less available on the machine, the most of all samples', mebibytes(peak.taken)],
      ['resident in a server, the most it ever had', withSpread(peakResident, mebibytes)],
      ['swap used', mebibytes(machine.swapUsed)],
      ['processes killed for want of memory', String(machine.killed)],
      ['cells made anew', String(machine.respawned)],
    ],
    note: 'PSS: what is shared is divided among those that share it.',
  };
}

function costTable(named: readonly NamedRuns[]): FigureTable {
  return {
    title: 'Throughput, and processor time for one cell',
    head: [
      'cells',
      'cells a minute',
      'CPU',
      'in the cell',
      'worker',
      'git',
      'supervisor',
      'Temporal server',
      'history events',
    ],
    rows: named.map(({ name, runs }) => [
      name,
      figures(
        runs,
        ({ cells, wallSeconds }) => (cells / wallSeconds) * 60,
        (figure) => figure.toFixed(1),
      ),
      figures(runs, ({ cost }) => totalCost(cost), seconds),
      ...(['cell', 'worker', 'git', 'supervisor', 'temporal'] as const).map((part) =>
        figures(runs, ({ cost }) => cost[part], seconds),
      ),
      figures(
        runs,
        ({ historyEvents }) => historyEvents.p50,
        (figure) => figure.toFixed(0),
      ),
    ]),
    note: 'CPU is the sum of cell, worker, git and supervisor. Where a thing was done several times: median (least to most).',
  };
}

function growthTable({ growth, slope, cells }: SequenceFigures): FigureTable {
  const [first, middle, last] = [growth[0], growth[Math.floor(growth.length / 2)], growth.at(-1)];
  const row = (name: string, of: 'worker' | 'supervisor') => {
    const at = (look: typeof first) =>
      look === undefined ? '' : `${mebibytes(look[of])}, ${look[`${of}Files`]} files`;
    return [name, at(first), at(middle), at(last), `${slope[of].toFixed(2)} MiB`];
  };
  return {
    title: `What grows over ${cells} cells: anonymous memory and open files`,
    head: ['process', 'before', 'half way', 'at the end', 'per hundred cells, second half'],
    rows: [row('worker', 'worker'), row('supervisor', 'supervisor')],
  };
}

function floorTable({ lean, plain }: FloorFigures, named: readonly NamedRuns[]): FigureTable {
  const ratios = (cpu: number) =>
    named.map(({ runs }) => (median(runs.map(({ cost }) => totalCost(cost))) / cpu).toFixed(2));
  const row = (name: string, { cpu, wall }: FloorFigures['lean']) => [
    name,
    withSpread(cpu, seconds),
    withSpread(wall, seconds),
    ...ratios(cpu.p50),
  ];
  return {
    title: 'The floor: `git worktree add`, `opencode run`, test, commit, in a plain shell loop',
    head: ['loop', 'CPU', 'time', ...named.map(({ name }) => `${name}: times its CPU`)],
    rows: [row('OpenCode with the switches of cells', lean), row('OpenCode as it comes', plain)],
  };
}

/** How long cells take to be made and to end. */
export function spawnTable({ bare, cold, warm, confined }: SpawnFigures): FigureTable {
  const times = ({ p50 }: Distribution) => (p50 / bare.wall.p50).toFixed(2);
  const row = (name: string, figures: Distribution) => [
    name,
    ...[figures.p50, figures.p95, figures.least, figures.most].map(duration),
    times(figures),
  ];
  return {
    title: 'Spawn and teardown, one cell at a time',
    head: ['what', 'p50', 'p95', 'least', 'most', 'times the bare boot'],
    rows: [
      row('`opencode serve` alone, until it has proved to be well', bare.wall),
      row('spawn, cold', cold.spawn),
      row('spawn, warm', warm.spawn),
      ...(confined ? [row('spawn, warm, in `bubblewrap`', confined.spawn)] : []),
      row('teardown, cold', cold.teardown),
      row('teardown, warm', warm.teardown),
      ...(confined ? [row('teardown, warm, in `bubblewrap`', confined.teardown)] : []),
    ],
    note: 'As the results of cells say, with the time that Temporal takes to hand the steps to the worker.',
  };
}

/** What the gateway adds to a direct call. */
export function gatewayTable(gateway: GatewayFigures): FigureTable {
  const { streams, rounds, pieces, direct, cpuPerRequest } = gateway;
  const row = (name: string, of: WayFigures, kind: keyof WayFigures) => [
    name,
    ...[of[kind].p50, of[kind].p95, of[kind].least, of[kind].most].map(finely),
    `${(of[kind].p50 - direct[kind].p50).toFixed(1)} ms`,
    (of[kind].p50 / direct[kind].p50).toFixed(2),
  ];
  return {
    title: `What the gateway adds, with ${streams} streams at once`,
    head: ['what', 'p50', 'p95', 'least', 'most', 'more than the direct call', 'times the direct call'],
    rows: [
      row('first token, direct', direct, 'firstToken'),
      row('first token, by a port of the gateway', gateway.loopback, 'firstToken'),
      row('first token, by a socket of the gateway', gateway.socket, 'firstToken'),
      row('whole answer, direct', direct, 'whole'),
      row('whole answer, by a port of the gateway', gateway.loopback, 'whole'),
      row('whole answer, by a socket of the gateway', gateway.socket, 'whole'),
    ],
    note: `${rounds} rounds by each way in turn; an answer comes in ${pieces.toFixed(0)} pieces. The supervisor takes ${finely(cpuPerRequest * 1000)} of processor time for one.`,
  };
}

/** What the same cell costs in each runtime. */
export function runtimesTable(runtimes: RuntimesFigures): FigureTable {
  const row = (name: string, pick: (run: RuntimeRun) => number | null, show: (figure: number) => string) => [
    name,
    ...isolations.map((isolation) => {
      const runs = runtimes[isolation].runs.flatMap((run) => pick(run) ?? []);
      return runs.length === 0 ? '—' : withSpread(distribution(runs), show);
    }),
  ];
  return {
    title: 'The same cell in each runtime, one at a time',
    head: ['what', ...isolations.map((isolation) => `\`${isolation}\``)],
    rows: [
      ['cells', ...isolations.map((name) => runtimes[name].missing ?? String(runtimes[name].runs.length))],
      row('spawn', ({ times }) => times.spawn.p50, duration),
      row('test', ({ times }) => times.test.p50, duration),
      row('teardown', ({ times }) => times.teardown.p50, duration),
      row('memory of the cell', ({ memory }) => memory, mebibytes),
      row('of that, in no file', ({ anonymous }) => anonymous, mebibytes),
      row('CPU in the cell', ({ cellCpu }) => cellCpu, seconds),
      row('CPU of worker, git and supervisor', ({ cost }) => totalCost({ ...cost, cell: 0 }), seconds),
      row('CPU of the Docker engine', ({ engineCpu }) => engineCpu, seconds),
      row('memory of the Docker engine', ({ engineMemory }) => engineMemory, mebibytes),
    ],
    note: 'Median (least to most). Memory is PSS in every runtime, taken after the edit; CPU is for one cell, from its start until nothing is left of it. A row without a figure: there is nothing of the kind, or nothing to count it by.',
  };
}

function figures(
  runs: readonly RunFigures[],
  pick: (run: RunFigures) => number,
  show: (figure: number) => string,
): string {
  const all = runs.map(pick);
  const [least, most] = spread(all);
  return all.length === 1 ? show(median(all)) : `${show(median(all))} (${show(least)} to ${show(most)})`;
}

const withSpread = ({ p50, least, most }: Distribution, show: (figure: number) => string): string =>
  `${show(p50)} (${show(least)} to ${show(most)})`;

const mebibytes = (figure: number): string => `${figure.toFixed(0)} MiB`;
const seconds = (figure: number): string => `${figure.toFixed(figure < 1 ? 3 : 2)} s`;
const finely = (milliseconds: number): string => `${milliseconds.toFixed(1)} ms`;
const duration = (milliseconds: number): string =>
  milliseconds < 1_000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
