import { setInterval } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { repeat } from '../../../src/worker/repeat.ts';
import { waitUntil } from '../../support/wait-until.ts';

test('does the work once for all the times that come while it is being done, and then goes on', async () => {
  const { promise: slow, resolve: finish } = Promise.withResolvers<void>();
  let begun = 0;
  const work = () => {
    begun += 1;
    return slow;
  };
  await using _repeated = repeat(work, 1);
  await waitUntil(async () => begun === 1);
  await ticks(20);
  expect(begun).toBe(1);
  finish();
  await waitUntil(async () => begun > 2);
});

test('is over when the work that it found under way is', async () => {
  const { promise: slow, resolve: finish } = Promise.withResolvers<void>();
  const begun: number[] = [];
  const work = () => {
    begun.push(begun.length);
    return slow;
  };
  const repeated = repeat(work, 1);
  await waitUntil(async () => begun.length === 1);
  await ticks(20);
  let over = false;
  const ending = repeated[Symbol.asyncDispose]().then(() => (over = true));
  await ticks(5);
  expect(over).toBe(false);
  finish();
  await ending;
  await ticks(5);
  expect(begun).toEqual([0]);
});

/** As many as another timer of the same interval has had meanwhile. */
async function ticks(count: number): Promise<void> {
  for await (const _ of setInterval(1)) if ((count -= 1) === 0) return;
}
