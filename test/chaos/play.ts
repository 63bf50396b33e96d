import { leftoversOfRun } from '../support/leftovers.ts';
import { replayProblems } from './histories.ts';
import type { Setting } from './pair.ts';
import type { Act } from './plan.ts';
import type { Random } from './random.ts';
import { type OnTrial, runCellFaults, runHostFault, type Trial } from './run.ts';
import { openStage, type Stage } from './stage.ts';
import { storm } from './storm.ts';
import { type ChaosTemporal, startChaosTemporal } from './temporal.ts';

export interface PlayOptions {
  random: Random;
  onTrial: OnTrial;
  onStep: (line: string) => void;
  /** Ends what is played, in order. */
  signal: AbortSignal;
}

/** The theatre: a Temporal server, and a fleet for each setting, brought up when the first act in it begins. */
export interface Theatre extends AsyncDisposable {
  /** Plays one act. What it throws is the suite's own failure, and not a finding; then nothing of the act goes on. */
  play(act: Act): Promise<Trial[]>;
  /** Replays every history so far on the workflow as it is. */
  replay(): Promise<string[]>;
}

export async function openTheatre({ random, onTrial, onStep, signal }: PlayOptions): Promise<Theatre> {
  await using stack = new AsyncDisposableStack();
  const temporal = stack.use(await startChaosTemporal(onStep));
  const stages = new Map<Setting, Promise<Stage>>();
  const stageFor = (setting: Setting) => {
    const known = stages.get(setting) ?? open(temporal, setting, owned, signal);
    stages.set(setting, known);
    return known;
  };
  const owned = stack.move();
  return {
    async play(act) {
      const stage = await stageFor(act.setting);
      switch (act.kind) {
        case 'host':
          return runHostFault(stage, act.fault, onTrial);
        case 'cells':
          return runCellFaults(stage, act.pairs, onTrial);
        case 'storm':
          return storm(stage, act.cells, random, onTrial);
      }
    },
    async replay() {
      const found = await Promise.all([...stages.values()].map(async (stage) => replayProblems((await stage).fleet)));
      return found.flat();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function open(
  temporal: ChaosTemporal,
  setting: Setting,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Stage> {
  return stack.use(await openStage(temporal, setting, signal));
}

/**
 * Plays all acts, and says at the end what is left on the machine and which history does not replay. When the signal aborts, the
 * act that is played ends, and all is taken down; then it rejects.
 */
export async function playAll(
  acts: readonly Act[],
  options: PlayOptions,
): Promise<{ trials: Trial[]; problems: string[] }> {
  const trials: Trial[] = [];
  const problems: string[] = [];
  {
    await using theatre = await openTheatre(options);
    for (const act of acts) {
      options.signal.throwIfAborted();
      trials.push(...(await theatre.play(act)));
    }
    problems.push(...(await theatre.replay()));
  }
  problems.push(...(await leftoversOfRun()).map((line) => `left on the machine: ${line}`));
  return { trials, problems };
}
