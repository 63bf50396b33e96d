/**
 * The demo: a Temporal server, a worker, a sample repository and five agents on this machine, from nothing to a table.
 * `npm run demo [-- --keep | --model provider/model | --runtime name | --json | --chaos]`
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createCli, type Cli } from '../src/cli/cli.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { createProgress } from '../src/cli/progress.ts';
import { type IsolationName, isolations } from '../src/domain/request.ts';
import { UserError } from '../src/domain/user-error.ts';
import { isClean, renderRemains, renderStrikes } from './demo/chaos-report.ts';
import { runWithChaos } from './demo/chaos-run.ts';
import { remainsOfCells, remainsOfStage, tracesOfStage } from './demo/empty-host.ts';
import { openStage, type Stage } from './demo/stage.ts';
import { asExpected, type EndedTask, readTasks, runTasks } from './demo/tasks.ts';
import { renderDemo, demoJson } from './demo/report.ts';

const usage = `npm run demo -- [options]

  --keep                   stay up at the end until Ctrl-C, to look around in the Web UI and the sample repository
  --model provider/model   use a real model, with its API key from the environment, instead of the scripted one
  --runtime name           process, bubblewrap or docker, instead of the strongest that this machine has
  --json                   print the result as JSON
  --chaos                  twenty agents, while the worker is killed twice and a server five times; ends with 0 when each
                           cell ended as its script says and nothing is left on the host
  --cells N                with --chaos: another number of agents
  --seed N                 with --chaos: the order and the pauses of an earlier run
`;

/** With chaos: as many as can be watched, and as a small machine bears. */
const cellsAtOnce = 6;

process.exitCode = await demo(process.argv.slice(2), createCli(process));

async function demo(argv: string[], cli: Cli): Promise<number> {
  try {
    const flags = flagsFrom(argv);
    if (flags.help) {
      cli.print(usage);
      return exitCodes.ok;
    }
    return await play(flags, cli);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    cli.note(`${cli.noteColors.red('error:')} ${error.message}`);
    if (error.try !== null) cli.note(`  → ${error.try}`);
    return exitCodes.error;
  }
}

interface Flags {
  keep: boolean;
  model: string | undefined;
  runtime: IsolationName | undefined;
  json: boolean;
  help: boolean;
  /** Null without chaos. */
  chaos: { cells: number; seed: number } | null;
}

function flagsFrom(args: string[]): Flags {
  try {
    const off = { type: 'boolean', default: false } as const;
    const text = { type: 'string' } as const;
    const options = {
      keep: off,
      json: off,
      help: off,
      chaos: off,
      model: text,
      runtime: text,
      cells: text,
      seed: text,
    } as const;
    const { values } = parseArgs({ args, options });
    const runtime = isolations.find((name) => name === values.runtime);
    if (runtime !== values.runtime) throw new Error(`--runtime ${values.runtime} is none of ${isolations.join(', ')}`);
    const { chaos, cells = '20', seed = String(randomInt(1_000_000)), ...rest } = values;
    if (!chaos && (values.cells ?? values.seed) !== undefined) throw new Error('--cells and --seed go with --chaos');
    if (!/^[1-9]\d{0,2}$/.test(cells)) throw new Error(`--cells ${cells} is not a number from 1 to 999`);
    if (!/^\d{1,9}$/.test(seed)) throw new Error(`--seed ${seed} is not a whole number`);
    return {
      ...rest,
      model: values.model,
      runtime,
      chaos: chaos ? { cells: Number(cells), seed: Number(seed) } : null,
    };
  } catch (cause) {
    throw new UserError('InvalidInput', cause instanceof Error ? cause.message : String(cause), {
      try: usage.trimEnd(),
      cause,
    });
  }
}

async function play(flags: Flags, cli: Cli): Promise<number> {
  return flags.chaos === null ? await playCalmly(flags, cli) : await playWithChaos(flags, flags.chaos, cli);
}

async function playCalmly({ keep, model, runtime, json }: Flags, cli: Cli): Promise<number> {
  const signal = cli.interruption();
  await using stage = await openStage({ model, runtime, capacity: undefined, cli, signal });
  const ended = await follow(stage, cli, signal);
  if (signal.aborted) return interrupted(cli);
  const right = ended.every((task) => asExpected(task, model === undefined));
  if (json) cli.print(JSON.stringify(await demoJson(stage, ended, right)));
  else cli.print(await renderDemo(stage, ended, { colors: cli.colors, kept: keep }));
  if (!right) stage.keepFiles();
  if (keep) await stay(stage, cli, signal);
  return right ? exitCodes.ok : exitCodes.error;
}

async function follow(stage: Stage, cli: Cli, signal: AbortSignal): Promise<EndedTask[]> {
  using progress = createProgress(cli.stderr, cli.noteColors);
  return await runTasks(stage, await readTasks(), { progress, signal });
}

async function playWithChaos(
  { keep, model, runtime, json }: Flags,
  { cells, seed }: { cells: number; seed: number },
  cli: Cli,
): Promise<number> {
  const signal = cli.interruption();
  const stage = await openStage({ model, runtime, capacity: cellsAtOnce, cli, signal });
  await using whole = new AsyncDisposableStack();
  whole.use(stage);
  cli.note(`Chaos: ${cells} cells, ${cellsAtOnce} at once; the same order and pauses again with --seed ${seed}`);
  const { ended, strikes } = await runWithChaos(stage, await readTasks(cells), { seed, cli, signal });
  if (signal.aborted) return interrupted(cli);
  const remains = await remainsOfCells(stage, signal);
  const right = ended.every((task) => asExpected(task, model === undefined)) && isClean(strikes, remains);
  if (json) {
    cli.print(JSON.stringify({ ...(await demoJson(stage, ended, right)), chaos: { seed, strikes, remains } }));
  } else {
    cli.print(await renderDemo(stage, ended, { colors: cli.colors, kept: keep }));
    cli.print(renderStrikes(strikes, seed, cli.colors));
    cli.print(renderRemains(remains));
  }
  if (!right) stage.keepFiles();
  if (keep) await stay(stage, cli, signal);
  const traces = await tracesOfStage(stage);
  await whole.disposeAsync();
  const left = right ? await remainsOfStage(traces) : [];
  if (right) cli.note(left.length === 0 ? 'Nothing of the demo is left on this machine.' : `left: ${left.join(', ')}`);
  return right && left.length === 0 ? exitCodes.ok : exitCodes.error;
}

function interrupted(cli: Cli): number {
  cli.note('interrupted; ending the cells …');
  return exitCodes.interrupted;
}

async function stay(stage: Stage, cli: Cli, signal: AbortSignal): Promise<void> {
  cli.note(
    `\nEverything stays up until Ctrl-C. In another terminal:\n  TEMPORAL_ADDRESS=${stage.temporal.address} npx cells list`,
  );
  await once(signal, 'abort');
}
