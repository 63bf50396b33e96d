import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { claimGivenBack } from '../../../src/domain/names.ts';
import { failureOf } from '../../support/endings.ts';
import { type ToldHost, claimed, startToldHost } from '../../support/told-host.ts';

let host: ToldHost;
beforeAll(async () => void (host = await startToldHost()));
afterAll(() => host[Symbol.asyncDispose]());

describe('a claim that is given back', () => {
  test('is tried again as often as that happens', async () => {
    const givenBack = Array.from({ length: 11 }, () => giveBack('10ms'));
    const cell = await host.start('patient', {
      claimHost: () => Promise.resolve(claimed).then((claim) => givenBack.shift()?.() ?? claim),
    });
    expect(await cell.result()).toMatchObject({ status: 'committed' });
    expect(host.stepsOf(cell).filter((step) => step === 'claimHost')).toHaveLength(12);
  });

  test('is not tried again after the time that the cell may wait', async () => {
    const cell = await host.start('late', { claimHost: giveBack('2h') }, { queueTimeout: '1h' });
    const { type, message } = await failureOf(host.client, cell);
    expect([type, message]).toEqual(['QueueTimedOut', 'no host had room for the cell within queueTimeout']);
  });

  test('does not let the cell wait for all of that time anew', async () => {
    const cell = await host.start('bounded', {}, { queueTimeout: '1h' });
    await cell.result();
    const { events } = await cell.fetchHistory();
    const [claim] = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
    expect(Number(claim?.scheduleToStartTimeout?.seconds)).toBe(3600);
    expect(Number(claim?.scheduleToCloseTimeout?.seconds), 'with the time that a last try takes').toBe(3660);
  });
});

/** As a host does whose room has gone; the pause before the next try is the test's, and of a server's choice in life. */
const giveBack = (nextRetryDelay: '10ms' | '2h') => () => {
  const message = 'host told has no room any more: memory';
  return Promise.reject(ApplicationFailure.create({ type: claimGivenBack, message, nextRetryDelay }));
};
