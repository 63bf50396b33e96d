import { once } from 'node:events';
import { truncate } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { warmPaths } from '../../../src/cell/paths.ts';
import { findUnowned, releaseUnowned } from '../../../src/cell/reaper.ts';
import { endWarm } from '../../../src/cell/warm-server.ts';
import { dropWarm } from '../../../src/cell/warm-record.ts';
import { type CellHostUnderTest, startCellHost } from '../../support/cell-host.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { bootStandIn, remainsOfWarm, serversOf } from '../../support/warm-servers.ts';

const stack = new AsyncDisposableStack();
let place: CellHostUnderTest;

/** A host whose cells run without Docker, beside an engine that answers everything with an error. */
beforeAll(async () => {
  const directory = stack.use(await temporaryDirectory());
  const socket = join(directory.path, 'engine.sock');
  const engine = createServer((_, response) => response.writeHead(500).end('{"message":"no"}')).listen(socket);
  await once(engine, 'listening');
  stack.defer(() => {
    engine.close();
    engine.closeAllConnections();
  });
  place = stack.use(await startCellHost({ env: { DOCKER_HOST: `unix://${socket}` } }));
});
afterAll(() => stack.disposeAsync());

test('a warm server is released with all that it has, also where nobody can read what it was booted in', async () => {
  for (const lost of [false, true]) {
    const warm = await bootStandIn(place.host);
    if (lost) await truncate(warmPaths(place.stateDirectory, warm.id).record);
    expect(await endWarm(place.host, warm.id)).toBe(true);
    expect(await remainsOfWarm(place.stateDirectory, warm.id)).toEqual([]);
  }
});

test('processes that nobody owns are found, and are released', async () => {
  const { id } = await bootStandIn(place.host);
  // All that says of them what they are goes with the record and its directory.
  await dropWarm(place.stateDirectory, id);
  expect(await findUnowned(place.host, async () => true)).toContainEqual(expect.objectContaining({ cellId: id }));
  expect(await releaseUnowned(place.host, { resource: 'process', cellId: id, why: 'it has no lease' })).toBe(true);
  expect(await serversOf(id)).toEqual([]);
  await endWarm(place.host, id);
});
