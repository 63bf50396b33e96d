import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { untilFaulty } from '../../../activities/faults.ts';
import { claimGivenBack } from '../../../src/domain/names.ts';

/** Attempts of one step of a cell, one after the other, by one worker. */
function attempts(cell: string) {
  const failing = untilFaulty((error: unknown) => Promise.reject(error));
  const succeeding = untilFaulty((answer: string) => Promise.resolve(answer));
  const environment = () =>
    new MockActivityEnvironment(
      { workflowExecution: { workflowId: cell, runId: cell }, activityId: '7' },
      { logger: new DefaultLogger('ERROR') },
    );
  return {
    fail: (error: unknown = new Error('the disk is full')): Promise<unknown> =>
      environment()
        .run(failing, error)
        .catch((thrown: unknown) => thrown),
    succeed: () => environment().run(succeeding, 'done'),
    async shutDown(): Promise<unknown> {
      const own = environment();
      own.cancel('WORKER_SHUTDOWN');
      return own.run(failing, new Error('shut down')).catch((thrown: unknown) => thrown);
    },
  };
}

const isLast = (error: unknown) => error instanceof ApplicationFailure && error.nonRetryable === true;

test('a step is given up when it has failed five times by itself', async () => {
  const step = attempts('one');
  for (const _ of [1, 2, 3, 4]) expect(isLast(await step.fail())).toBe(false);
  expect(await step.fail()).toMatchObject({ nonRetryable: true, message: 'the disk is full' });
});

test('a failure with a name keeps it to the last', async () => {
  const step = attempts('two');
  const error = ApplicationFailure.retryable('no server came up', 'SpawnFailed', { port: 9000 });
  for (const _ of [1, 2, 3, 4]) expect(await step.fail(error)).toBe(error);
  expect(await step.fail(error)).toMatchObject({ nonRetryable: true, type: 'SpawnFailed', details: [{ port: 9000 }] });
});

test('a claim that a host without room gives back is no fault', async () => {
  const claim = attempts('five');
  const error = ApplicationFailure.retryable('no room any more', claimGivenBack);
  for (const _ of [1, 2, 3, 4, 5, 6]) expect(await claim.fail(error)).toBe(error);
  expect(isLast(await claim.fail())).toBe(false);
});

test('the ends of workers do not count, nor what was before a success, nor what other cells do', async () => {
  const step = attempts('three');
  const other = attempts('four');
  for (const _ of [1, 2, 3, 4]) await step.fail();
  expect(isLast(await other.fail())).toBe(false);
  await step.succeed();
  for (const _ of [1, 2, 3, 4, 5, 6]) expect(isLast(await step.shutDown())).toBe(false);
  expect(isLast(await step.fail())).toBe(false);
});

test('of a thousand steps that fail later none makes a worker remember more: what failed first is forgotten', async () => {
  const first = attempts('first');
  const again = attempts('again');
  for (const _ of [1, 2, 3, 4]) await first.fail();
  for (const _ of [1, 2, 3]) await again.fail();
  for (const cell of Array.from({ length: 998 }, (_, index) => `later ${index}`)) await attempts(cell).fail();
  await again.fail();
  await attempts('last').fail();
  await attempts('the very last').fail();
  expect(isLast(await again.fail())).toBe(true);
  expect(isLast(await first.fail())).toBe(false);
});
