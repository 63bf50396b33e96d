import { setTimeout as delay } from 'node:timers/promises';
import { leasesIn } from '../support/host-state.ts';
import { allOf } from './all-of.ts';
import { hostProblems } from './host-invariants.ts';
import type { Pair } from './pair.ts';
import { oneOf, type Random } from './random.ts';
import { type OnTrial, runFree, type Trial } from './run.ts';
import type { Stage } from './stage.ts';

/** Fewer than a cell can lose servers: what is over that is lost by design. */
const deaths = 3;

const kinds: readonly Omit<Pair, 'fault' | 'turnsLost' | 'respawns'>[] = [
  { step: 'any', verdicts: ['committed'] },
  { step: 'any', script: 'thinks', verdicts: ['committed'] },
  { step: 'any', script: 'daemonises', verdicts: ['committed'] },
  { step: 'any', script: 'model-429-once', verdicts: ['committed'] },
  { step: 'repair', moment: 'free', verdicts: ['committed'] },
  { step: 'revert', moment: 'free', verdicts: ['reverted'] },
];

/** Strikes for each cell, at most: on a machine that is slow, workers that never come to work would be killed for ever. */
const strikesPerCell = 1;

/**
 * Cells of mixed scripts come and go, none of them held anywhere, while faults strike the host and single servers at times
 * that the seed chooses.
 */
export async function storm(stage: Stage, count: number, random: Random, onTrial: OnTrial): Promise<Trial[]> {
  const fault = 'random faults';
  const pairs = Array.from({ length: count }, (_, index): Pair => {
    const kind = kinds[index % kinds.length] ?? { step: 'any', verdicts: ['committed'] };
    return { fault, turnsLost: deaths, respawns: 2, ...kind };
  });
  const over = new AbortController();
  const striking = strikeUntil(stage, count * strikesPerCell, random, AbortSignal.any([over.signal, stage.signal]));
  const playing = runFree(stage, pairs, 6, onTrial).finally(() => over.abort());
  const [trials] = await allOf([playing, striking]);
  const problems = await hostProblems(
    stage,
    trials.map(({ cell }) => cell),
    null,
  );
  for (const { trial } of trials) trial.problems.push(...problems);
  return trials.map(({ trial }) => trial);
}

async function strikeUntil(stage: Stage, most: number, random: Random, signal: AbortSignal): Promise<void> {
  let left = deaths;
  for (let struck = 0; struck < most && !signal.aborted; struck += 1) {
    await delay(4_000 + random() * 8_000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const kind = oneOf(left > 0 ? [...survived, ...deadly] : survived, random);
    if (deadly.some((one) => one === kind)) left -= 1;
    await strikes[kind](stage, random);
  }
}

const survived = ['worker', 'cut'] as const;
const deadly = ['server', 'supervisor'] as const;

const strikes = {
  async worker(stage: Stage) {
    await stage.killWorker();
    await stage.fleet.startWorker();
  },
  async cut({ temporal, signal }: Stage, random: Random) {
    temporal.way.cut();
    await delay(random() * 8_000, undefined, { signal }).catch(() => undefined);
    temporal.way.mend();
  },
  async supervisor(stage: Stage) {
    process.kill(await stage.supervisorPid(), 'SIGKILL');
  },
  async server({ fleet }: Stage, random: Random) {
    const servers = (await leasesIn(fleet.stateDirectory)).flatMap(({ server }) =>
      server === null ? [] : [server.pid],
    );
    const [first, ...others] = servers;
    if (first === undefined) return;
    try {
      process.kill(oneOf([first, ...others], random), 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  },
};
