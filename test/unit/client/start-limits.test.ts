import { Client, Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { countStart, startLimits } from '../../../src/client/start-limits.ts';

test('a client that starts cells without end is stopped by a limit that is named, and goes on a minute later', async () => {
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  const [client, other] = [new Client({ connection }), new Client({ connection })];
  try {
    const limits = { ...startLimits, startsPerMinute: 3 };
    for (const now of [1_000, 2_000, 3_000]) countStart(client, limits, now);
    const start = (now: number) => () => countStart(client, limits, now);
    expect(start(4_000)).toThrow(
      'this client has started 3 cells within a minute, and the limit is 3 starts per minute',
    );
    expect(start(4_000)).toThrow(
      expect.objectContaining({ code: 'TooManyStarts', try: expect.stringContaining('57 seconds') }),
    );
    expect(() => countStart(other, limits, 4_000)).not.toThrow();
    expect(start(61_000)).not.toThrow();
    expect(start(61_500)).toThrow('starts per minute');
  } finally {
    await connection.close();
  }
});
