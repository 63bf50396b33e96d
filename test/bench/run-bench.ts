import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { version } from '../../src/domain/version.ts';
import { opencodeVersion } from '../../src/opencode/binary.ts';
import { temporalCliVersion } from '../../src/temporal/temporal-cli.ts';
import { testRun } from '../support/run.ts';
import { commitOf, progress } from './about-run.ts';
import type { BenchOptions, PartName } from './options.ts';
import { leftByThisRun, tracesOfThisRun } from './left.ts';
import { runAtOnce } from './parts/at-once.ts';
import { runFloor } from './parts/floor.ts';
import { runGateway } from './parts/gateway.ts';
import { runHeld } from './parts/held.ts';
import { runRuntimes } from './parts/runtimes.ts';
import { runSequence } from './parts/sequence.ts';
import { runSpawn } from './parts/spawn.ts';
import { drawPlots } from './plots.ts';
import type { BenchResults, PartFigures } from './results.ts';
import { type Stage, openStage } from './stage.ts';
import { renderTerminal } from './render.ts';
import { benchTables } from './tables.ts';

/** Runs the chosen parts, prints and writes their figures. Answers the exit code: 0 when all cells ended right and nothing was left. */
export async function runBench(options: BenchOptions, signal: AbortSignal): Promise<number> {
  testRun();
  const words = process.argv.slice(2);
  const results: BenchResults = {
    at: new Date().toISOString(),
    commit: await commitOf(),
    command: ['npm run bench', ...(words.length === 0 ? [] : ['--', ...words])].join(' '),
    machine: {
      cpus: cpus().length,
      cpuModel: cpus()[0]?.model ?? '',
      memoryMiB: Math.round(totalmem() / 1024 ** 2),
      kernel: release(),
    },
    versions: { agentCells: version, node: process.version, opencode: opencodeVersion, temporal: temporalCliVersion },
    parts: {},
    left: {},
  };
  const say = progress();
  {
    await using stage = await openStage(say, signal);
    const inUse = await tracesOfThisRun();
    for (const name of options.only) {
      await runPart(name, stage, options, results);
      results.left[name] = await leftByThisRun(inUse);
    }
  }
  results.left['all'] = await leftByThisRun();
  for (const table of benchTables(results)) console.log(renderTerminal(table));
  await mkdir(dirname(options.json), { recursive: true });
  await writeFile(options.json, `${JSON.stringify(results, null, 1)}\n`);
  const plots = await drawPlots(results, dirname(options.json));
  console.log(`\nwritten: ${[options.json, ...plots].join(', ')}`);
  const wrong = wrongIn(results);
  for (const line of wrong) console.log(`✗ ${line}`);
  return wrong.length === 0 ? 0 : 1;
}

async function runPart(name: PartName, stage: Stage, options: BenchOptions, results: BenchResults): Promise<void> {
  stage.signal.throwIfAborted();
  stage.say(`▶ ${name}`);
  const parts: { [Name in PartName]: () => Promise<PartFigures[Name]> } = {
    held: () => runHeld(stage, options.cells),
    'at-once': () => runAtOnce(stage, options),
    sequence: () => runSequence(stage, options.sequence),
    floor: () => runFloor(stage, options.repeats),
    spawn: () => runSpawn(stage, options.repeats),
    gateway: () => runGateway(stage, options.repeats),
    runtimes: () => runRuntimes(stage, options.repeats),
  };
  Object.assign(results.parts, { [name]: await parts[name]() });
}

function wrongIn({ parts, left }: BenchResults): string[] {
  const runs = [
    parts.held,
    ...(parts['at-once']?.flatMap((size) => size.runs) ?? []),
    parts.sequence,
    ...Object.values(parts.runtimes ?? {}).flatMap((runtime) => runtime.runs),
  ];
  const machine = parts.held?.machine;
  return [
    ...Object.entries(left).flatMap(([part, lines]) => lines.map((line) => `${part} left: ${line}`)),
    ...runs.flatMap((run) =>
      run === undefined ? [] : [...run.unexpected, ...run.leftovers.map((line) => `left: ${line}`)],
    ),
    ...(machine === undefined
      ? []
      : Object.entries(machine).flatMap(([what, count]) =>
          count > 0 ? [`while all were held: ${what} ${count}`] : [],
        )),
  ];
}
