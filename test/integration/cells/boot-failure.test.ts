import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import getPort from 'get-port';
import { describe, expect, test } from 'vitest';
import { createHostActivities } from '../../../activities/index.ts';
import { cellPaths, hostPaths } from '../../../src/cell/paths.ts';
import { findUnowned } from '../../../src/cell/reaper.ts';
import { openMirror } from '../../../src/git/mirror.ts';
import {
  type CellHostUnderTest,
  activityEnvironment,
  ownerOf,
  requestOf,
  startCellHost,
} from '../../support/cell-host.ts';
import { holdFetches } from '../../support/held-spawns.ts';
import { leaseIn, serverIn } from '../../support/host-state.ts';
import { remainsOf } from '../../support/remains.ts';
import { temporaryRepository } from '../../support/temporary-repository.ts';
import { waitUntil } from '../../support/wait-until.ts';

describe('a boot that fails leaves nothing but the place, which the teardown gives back', () => {
  test('when the server refuses its configuration', async () => {
    await using place = await startCellHost({ opencode: { mcp: { broken: 5 } } });
    await failToSpawn(place, /SpawnFailed.*refuses its configuration/);
    expect(place.host.spawns.now().failures, 'it speaks against the host').toBe(1);
  });

  test('when every port of the range is taken, by a stranger or by another cell', async () => {
    const free = await getPort();
    await using place = await startCellHost({ env: { CELLS_PORTS: `${free}-${free}` } });
    const stranger = createServer().listen(free, '127.0.0.1');
    await once(stranger, 'listening');
    await failToSpawn(place, new RegExp(`SpawnFailed.*no port is free from ${free} to ${free}`));
    stranger.close();
    await once(stranger, 'close');
    const { port } = await place.spawn({ agentId: 'first' });
    expect(port).toBe(free);
    await failToSpawn(place, /SpawnFailed.*no port is free/);
  });

  test('when the server dies before it answers', async () => {
    await using place = await startCellHost();
    await failToSpawn(place, /SpawnFailed/, async (cellId) => {
      await untilServerOf(place, cellId);
      process.kill(await serverIn(place.stateDirectory, cellId), 'SIGKILL');
    });
  });

  test('when the branch does not exist', async () => {
    await using place = await startCellHost();
    await failToSpawn(place, /RepositoryError.*nowhere/, undefined, 'nowhere');
    expect(place.host.spawns.now().failures, 'it speaks against the request').toBe(0);
  });

  test.for([
    ['boots', untilServerOf],
    ['is asked for its health, which it does not tell', untilServerHangs],
  ] as const)('when the spawn is cancelled while the server %s', async ([, until]) => {
    await using place = await startCellHost();
    const request = requestOf();
    const owner = ownerOf(request);
    const { cellId } = await place.steps.claimHost({ owner, request });
    const attempt = activityEnvironment();
    const spawning = attempt.run(createHostActivities(place.host).spawnCell, { owner, cellId, request });
    const ended = expect(spawning).rejects.toBeInstanceOf(CancelledFailure);
    await until(place, cellId);
    attempt.cancel('CANCELLED');
    await ended;
    await expectOnlyThePlace(place, cellId);
  });
});

test('a claim lapses when no spawn follows, and not when one waits for its repository or is to be tried again', async () => {
  await using origin = await temporaryRepository();
  const url = `file://${origin.path}`;
  await using place = await startCellHost({ env: { CELLS_REPOSITORIES: url } });
  const { host, stateDirectory } = place;
  const request = requestOf({ repository: url });
  const owner = ownerOf(request);
  const { cellId } = await place.steps.claimHost({ owner, request });
  const { lease: file } = cellPaths(stateDirectory, cellId);
  const lease = await leaseIn(stateDirectory, cellId);
  await writeFile(file, JSON.stringify({ ...lease, createdAt: Date.now() - 6 * 60_000 }));
  const reaped = async () =>
    (await findUnowned(host, () => Promise.resolve(true))).map(({ resource, why }) => `${resource}: ${why}`);
  expect(await reaped()).toEqual(['cell: it was claimed, and no spawn followed']);
  const attempt = activityEnvironment();
  const spawn = () => attempt.run(createHostActivities(host).spawnCell, { owner, cellId, request });
  {
    await using _held = await holdFetches(await openMirror(url, hostPaths(stateDirectory).repositories));
    const ended = expect(spawn()).rejects.toBeInstanceOf(CancelledFailure);
    await waitUntil(async () => (await leaseIn(stateDirectory, cellId))?.state === 'spawning');
    expect(await reaped()).toEqual([]);
    attempt.cancel('CANCELLED');
    await ended;
  }
  expect(await reaped()).toEqual([]);
});

/** Claims a place, and expects the spawn to fail and to leave that place and nothing else. */
async function failToSpawn(
  place: CellHostUnderTest,
  why: RegExp,
  meanwhile: (cellId: string) => Promise<void> = () => Promise.resolve(),
  branch = 'main',
): Promise<void> {
  const request = requestOf({ branch });
  const owner = ownerOf(request);
  const { cellId } = await place.steps.claimHost({ owner, request });
  const failed = place.steps.spawnCell({ owner, cellId, request }).catch((error: unknown) => error);
  await meanwhile(cellId);
  const failure = await failed;
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure instanceof ApplicationFailure && `${failure.type}: ${failure.message}`).toMatch(why);
  await expectOnlyThePlace(place, cellId);
}

async function expectOnlyThePlace(place: CellHostUnderTest, cellId: string): Promise<void> {
  const { directory } = cellPaths(place.stateDirectory, cellId);
  expect(await remainsOf(place, cellId)).toEqual([directory]);
  expect(await leaseIn(place.stateDirectory, cellId)).toMatchObject({
    state: 'spawning',
    port: null,
    worktree: null,
    server: null,
  });
  await place.steps.teardownCell({ cellId });
  expect(await remainsOf(place, cellId)).toEqual([]);
}

async function untilServerOf(place: CellHostUnderTest, cellId: string): Promise<void> {
  await waitUntil(async () => typeof (await leaseIn(place.stateDirectory, cellId))?.server?.pid === 'number');
}

/** Stopped once it listens, a server answers nothing. */
async function untilServerHangs(place: CellHostUnderTest, cellId: string): Promise<void> {
  const { serverLog } = cellPaths(place.stateDirectory, cellId);
  await waitUntil(async () => (await readFile(serverLog, 'utf8').catch(() => '')).includes('listening'));
  process.kill(await serverIn(place.stateDirectory, cellId), 'SIGSTOP');
}
