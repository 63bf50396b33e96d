/**
 * Repeats small fleets of cells of every kind, and checks the same after each: `npm run soak -- --minutes N [--json file]`.
 * Ends with 0 when every verdict was right, every prompt was sent once, nothing was left, and nothing grows.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { testRun } from '../support/run.ts';
import { commitOf, progress } from './about-run.ts';
import { leftByThisRun } from './left.ts';
import { look } from './growth.ts';
import { renderTerminal } from './render.ts';
import { mix } from './soak/mix.ts';
import { type SoakResults, leaksIn, soakTable, trendOf } from './soak/results.ts';
import { runRound } from './soak/round.ts';
import { type Stage, openBenchFleet, openStage } from './stage.ts';
import { abortAtSignals } from '../../src/cli/abort-at-signals.ts';

/** Fewer places than cells: some of them wait for one. */
const capacity = 4;
const scripts = fileURLToPath(new URL('../fixtures/scripts/suite.yaml', import.meta.url));

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, json: { type: 'string' } } });
process.exitCode = await main(Number(values.minutes), values.json, abortAtSignals('SIGINT', 'SIGTERM', 'SIGHUP'));

async function main(minutes: number, json: string | undefined, signal: AbortSignal): Promise<number> {
  if (!(minutes > 0)) {
    console.error('npm run soak -- --minutes N [--json file]');
    return 2;
  }
  testRun();
  const results = await soak(minutes, signal);
  results.problems.push(...(await leftByThisRun()).map((line) => `left at the end: ${line}`), ...leaksIn(results));
  console.log(renderTerminal(soakTable(results)));
  if (json !== undefined) await writeFile(json, `${JSON.stringify(results, null, 1)}\n`);
  for (const problem of results.problems) console.log(`✗ ${problem}`);
  if (signal.aborted) return 130;
  return results.problems.length === 0 ? 0 : 1;
}

async function soak(minutes: number, signal: AbortSignal): Promise<SoakResults> {
  const results: SoakResults = {
    at: new Date().toISOString(),
    commit: await commitOf(),
    minutes: 0,
    rounds: 0,
    cells: 0,
    problems: [],
    looks: [],
    trend: { worker: 0, supervisor: 0, workerFiles: 0, supervisorFiles: 0 },
  };
  await using stage = await openStage(progress(), signal);
  try {
    await repeat(stage, minutes, results);
  } catch (error) {
    // What was found until then is told.
    if (!signal.aborted) throw error;
  }
  results.trend = trendOf(results.looks);
  return results;
}

async function repeat(stage: Stage, minutes: number, results: SoakResults): Promise<void> {
  await using bench = await openBenchFleet(stage, { capacity, scripts });
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 60_000;
  results.looks.push({ minute: 0, ...(await look(bench)) });
  do {
    const problems = await runRound(bench, results.rounds + 1, stage.signal);
    results.rounds += 1;
    results.cells += mix.length;
    results.problems.push(...problems);
    results.minutes = elapsed();
    results.looks.push({ minute: elapsed(), ...(await look(bench)) });
    stage.say(`${results.rounds} rounds, ${results.cells} cells, ${results.problems.length} problems`);
    for (const problem of problems) stage.say(`✗ ${problem}`);
  } while (elapsed() < minutes);
}
