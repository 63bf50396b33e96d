/**
 * The chaos suite: faults at every step of cells, on a real fleet, with all invariants checked after each.
 * `npm run chaos [-- --quick | --seed N | --only 'fault[@step]' | --cells N | --json]`
 */
import { parseArgs } from 'node:util';
import { createCli, type Cli } from '../src/cli/cli.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { UserError } from '../src/domain/user-error.ts';
import { faults } from '../test/chaos/faults/index.ts';
import { nameOf } from '../test/chaos/pair.ts';
import { planOf } from '../test/chaos/plan.ts';
import { playAll } from '../test/chaos/play.ts';
import { randomFrom } from '../test/chaos/random.ts';
import { holds, renderReport, renderTrial } from '../test/chaos/report.ts';

const usage = `npm run chaos -- [options]

  --quick              the part that is run with every change
  --seed N             what is chosen by chance is chosen as in the run that printed this seed
  --only fault[@step]  nothing but this fault, or this fault at this step; may be given several times
  --cells N            so many cells at least (200); what the faults at chosen steps do not need meets faults at random
  --list               print the faults and their steps, and do nothing
  --json               print the report as JSON
`;

process.exitCode = await chaos(process.argv.slice(2), createCli(process));

async function chaos(argv: string[], cli: Cli): Promise<number> {
  try {
    const flags = flagsFrom(argv);
    if (flags.help) cli.print(usage);
    else if (flags.list) cli.print(faults.flatMap(({ pairs }) => pairs.map(nameOf)).join('\n'));
    else return await run(flags, cli);
    return exitCodes.ok;
  } catch (error) {
    if (cli.interruption().aborted) return exitCodes.interrupted;
    if (!(error instanceof UserError)) throw error;
    cli.note(`${cli.noteColors.red('error:')} ${error.message}`);
    if (error.try !== null) cli.note(`  → ${error.try}`);
    return exitCodes.error;
  }
}

interface Flags {
  quick: boolean;
  json: boolean;
  help: boolean;
  list: boolean;
  seed: number;
  cells: number;
  only: readonly string[];
}

function flagsFrom(args: string[]): Flags {
  try {
    const off = { type: 'boolean', default: false } as const;
    const text = { type: 'string' } as const;
    const only = { type: 'string', multiple: true } as const;
    const options = { quick: off, json: off, help: off, list: off, seed: text, cells: text, only };
    const { values } = parseArgs({ args, options });
    return {
      ...values,
      seed: numberFrom(values.seed, Date.now() % 1_000_000),
      only: values.only ?? [],
      cells: numberFrom(values.cells, values.quick ? 0 : 200),
    };
  } catch (cause) {
    throw new UserError('InvalidInput', cause instanceof Error ? cause.message : String(cause), {
      try: usage.trimEnd(),
      cause,
    });
  }
}

function numberFrom(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`not a number: ${text}`);
  return Number(text);
}

async function run({ quick, json, seed, cells, only }: Flags, cli: Cli): Promise<number> {
  const random = randomFrom(seed);
  const { acts, skipped } = await planOf({ quick, only, cells, random });
  if (acts.length === 0 && skipped.length === 0)
    throw new UserError('InvalidInput', `there is no such fault: ${only.join(', ')}`, {
      try: 'see them all with --list',
    });
  cli.note(`seed ${seed}`);
  const began = performance.now();
  const played = await playAll(acts, {
    random,
    onTrial: (trial) => cli.note(renderTrial(trial)),
    onStep: (line) => cli.note(line),
    signal: cli.interruption(),
  });
  const report = { seed, skipped, durationMs: Math.round(performance.now() - began), ...played };
  cli.print(json ? JSON.stringify(report, null, 2) : renderReport(report));
  return holds(report) ? exitCodes.ok : exitCodes.error;
}
