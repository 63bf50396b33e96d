import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/source-files.ts';
import { type TrialResults, trialTable } from '../memory-trial/table.ts';
import { type SoakResults, soakTable } from '../soak/results.ts';
import { renderMarkdown, type FigureTable } from '../render.ts';
import type { BenchResults, PartFigures } from '../results.ts';
import { benchTables, gatewayTable, runtimesTable, spawnTable } from '../tables.ts';

/** What lies in `docs/performance`; null where there is no such file. */
export interface Figures {
  bench: BenchResults | null;
  trials: TrialResults | null;
  soak: SoakResults | null;
  /** Runs of one part alone. */
  alone: Record<OwnPlace, BenchResults | null>;
}

/** Parts of the bench whose figures have a place of their own on the page. A run of them alone leaves the figures of all others there. */
const ownPlaces = ['spawn', 'gateway', 'runtimes'] as const;
type OwnPlace = (typeof ownPlaces)[number];

/** Under which names the parts of a run of the bench lie in `docs/performance`. */
export function filesOf(run: BenchResults): [name: string, run: BenchResults][] {
  const alone = ownPlaces.filter((part) => part in run.parts);
  if (alone.length < Object.keys(run.parts).length) return [['bench.json', run]];
  return alone.map((part) => [`${part}.json`, { ...run, parts: { [part]: run.parts[part] } }]);
}

export function readFigures(): Figures {
  // Written by the programs that these types belong to.
  return {
    bench: read('bench.json') as BenchResults | null,
    trials: read('memory-trial.json') as TrialResults | null,
    soak: read('soak.json') as SoakResults | null,
    alone: {
      spawn: read('spawn.json') as BenchResults | null,
      gateway: read('gateway.json') as BenchResults | null,
      runtimes: read('runtimes.json') as BenchResults | null,
    },
  };
}

/** A page with its figures in their places: between `<!-- figures: name -->` and `<!-- end of figures -->`. */
export function withFigures(page: string, figures: Figures): string {
  return page.replaceAll(place, (_, name: string) => {
    const text = textOf(name, figures);
    return `<!-- figures: ${name} -->\n\n${text}\n\n<!-- end of figures -->`;
  });
}

const place = /<!-- figures: ([a-z-]+) -->[\s\S]*?<!-- end of figures -->/g;

function textOf(name: string, figures: Figures): string {
  const { bench, trials, soak } = figures;
  switch (name) {
    case 'run':
      return bench === null ? none : runText(bench);
    case 'bench':
      return bench === null ? none : benchTables(withoutOwnPlaces(bench)).map(section).join('\n\n');
    case 'trials':
      return trials === null ? none : section(trialTable(trials));
    case 'soak':
      return soak === null ? none : section(soakTable(soak));
    case 'spawn':
      return textOfOwn(name, figures, spawnTable);
    case 'gateway':
      return textOfOwn(name, figures, gatewayTable);
    case 'runtimes':
      return textOfOwn(name, figures, runtimesTable);
    default:
      throw new Error(`there are no figures called ${name}`);
  }
}

const none = 'None yet.';

function withoutOwnPlaces(bench: BenchResults): BenchResults {
  const parts = { ...bench.parts };
  for (const part of ownPlaces) delete parts[part];
  return { ...bench, parts };
}

/** Of the later of the run of all and the run of that part alone. */
function textOfOwn<Name extends OwnPlace>(
  name: Name,
  { bench, alone }: Figures,
  table: (figures: PartFigures[Name]) => FigureTable,
): string {
  const runs = [bench, alone[name]].filter((run) => run?.parts[name] !== undefined);
  const run = runs.toSorted((one, other) => (one?.at ?? '').localeCompare(other?.at ?? '')).at(-1);
  const figures = run?.parts[name];
  return run == null || figures === undefined ? none : `${runText(run)}\n\n${section(table(figures))}`;
}

function runText({ at, commit, command, machine, versions }: BenchResults): string {
  return [
    `- \`${command}\`, ${at.slice(0, 10)}, commit \`${commit}\``,
    `- ${machine.cpus} processors (${machine.cpuModel}), ${Math.round(machine.memoryMiB / 1024)} GiB of memory, Linux ${machine.kernel}`,
    `- Node ${versions.node}, OpenCode ${versions.opencode}, Temporal CLI ${versions.temporal}, agent-cells ${versions.agentCells}`,
  ].join('\n');
}

const section = (table: FigureTable): string =>
  [`### ${table.title}`, renderMarkdown(table), ...(table.note === undefined ? [] : [table.note])].join('\n\n');

function read(name: string): unknown {
  const file = join(root, 'docs', 'performance', name);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}
