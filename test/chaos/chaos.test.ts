import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nameOf } from './pair.ts';
import { planOf } from './plan.ts';
import { openTheatre, type Theatre } from './play.ts';
import { randomFrom } from './random.ts';
import type { Trial } from './run.ts';

const seed = Date.now() % 1_000_000;
const random = randomFrom(seed);
const half = v.parse(v.optional(v.picklist(['first', 'second'])), process.env['AGENT_CELLS_CHAOS_HALF']);
const { acts } = await planOf({ quick: true, ...(half === undefined ? {} : { half }), only: [], cells: 0, random });

/**
 * The part of `npm run chaos` that is run with every change: each fault at each of its steps is a test. `AGENT_CELLS_CHAOS_HALF` names the
 * half of it that is run, if not all.
 */
describe(`a cell, whatever is done to it (seed ${seed}),`, () => {
  let theatre: Theatre;
  const trials: Trial[] = [];

  beforeAll(async () => {
    const onStep = (line: string) => console.log(line);
    const { signal } = new AbortController();
    theatre = await openTheatre({ random, onStep, signal, onTrial: () => undefined });
  });
  afterAll(() => theatre?.[Symbol.asyncDispose]());

  for (const act of acts) {
    const pairs = act.kind === 'storm' ? [] : act.kind === 'host' ? act.fault.pairs : act.pairs;
    describe(act.kind === 'host' ? `hit by ${act.fault.name}` : 'hit alone', () => {
      beforeAll(async () => void trials.push(...(await theatre.play(act))));

      test.each(pairs.map((pair) => [nameOf(pair), pair] as const))('comes to its verdict: %s', (name) => {
        const { problems, leftovers } = trials.find((trial) => trial.name === name) ?? {};
        expect({ problems, leftovers }).toEqual({ problems: [], leftovers: [] });
      });
    });
  }

  test('replays, every one of them', async () => {
    expect(await theatre.replay()).toEqual([]);
  });
});
