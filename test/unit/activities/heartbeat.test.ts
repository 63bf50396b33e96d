import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { withHeartbeat } from '../../../activities/heartbeat.ts';
import { activityEnvironment } from '../../support/cell-host.ts';

/** What an activity fails with whose work throws this once it is cancelled. */
async function cancelledDuring(thrown: Error): Promise<unknown> {
  const environment = activityEnvironment();
  const failed = environment.run(() =>
    withHeartbeat((signal) => {
      const cut = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(thrown)));
      environment.cancel('CANCELLED');
      return cut;
    }),
  );
  return await failed.catch((error: unknown) => error);
}

test('a step that is cancelled fails as cancelled, whatever it was at', async () => {
  expect(await cancelledDuring(new Error('the server refuses its configuration'))).toBeInstanceOf(CancelledFailure);
});

test('a failure with a name keeps it, though its step is cancelled meanwhile', async () => {
  const named = ApplicationFailure.retryable('the cell is gone', 'CellLost');
  expect(await cancelledDuring(named)).toBe(named);
});

test('a step that fails by itself fails with its own error', async () => {
  const fault = new Error('the disk is full');
  const environment = activityEnvironment();
  await expect(environment.run(() => withHeartbeat(() => Promise.reject(fault)))).rejects.toBe(fault);
});
