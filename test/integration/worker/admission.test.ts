import { once } from 'node:events';
import { rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import getPort from 'get-port';
import { describe, expect, test } from 'vitest';
import { createBreaker } from '../../../src/cell/breaker.ts';
import { readConfig } from '../../../src/config.ts';
import { type Admission, startAdmission } from '../../../src/worker/admission/admission.ts';
import { readMemory } from '../../../src/worker/admission/memory.ts';
import { readAdmissionState } from '../../../src/worker/admission/state.ts';
import { type CellHostUnderTest, ownerOf, requestOf, startCellHost } from '../../support/cell-host.ts';
import { waitUntil } from '../../support/wait-until.ts';

const patience = 60_000;

describe('a host asks for no cell, and goes on when the cause is gone', () => {
  test('while every place is taken', async () => {
    await using place = await startCellHost();
    const cellId = await claim(place);
    await using admission = await admissionOf(place, { CELLS_CAPACITY: '1' });
    await expectRefusal(place, admission, 'full', /^1 of 1 places are taken$/, () =>
      place.steps.teardownCell({ cellId }),
    );
  });

  test('while no port of its range is free', async () => {
    const port = await getPort();
    const stranger = createServer().listen(port, '127.0.0.1');
    await once(stranger, 'listening');
    await using place = await startCellHost({ env: { CELLS_PORTS: `${port}-${port}` } });
    await using admission = await admissionOf(place, { CELLS_PORTS: `${port}-${port}` });
    await expectRefusal(place, admission, 'ports', new RegExp(`^0 ports are free in ${port}-${port}$`), async () => {
      stranger.close();
      await once(stranger, 'close');
    });
  });

  test('while the only port is about to be taken by a cell that is here', async () => {
    const port = await getPort();
    const env = { CELLS_PORTS: `${port}-${port}` };
    await using place = await startCellHost({ env });
    const cellId = await claim(place);
    await using admission = await admissionOf(place, env);
    await expectRefusal(place, admission, 'ports', /^1 ports are free in \S+, and 1 are about to be taken$/, () =>
      place.steps.teardownCell({ cellId }),
    );
  });

  test('while a cell that is here has yet to grow to more memory than there is for two', async () => {
    await using place = await startCellHost();
    const { available } = await readMemory();
    const peak = { runtime: 'process', agentType: 'worker', bytes: Math.round(available * 0.6) };
    const observed = { version: 1, peaks: Array.from({ length: 9 }, () => peak), disk: [] };
    await writeFile(join(place.stateDirectory, 'observed-needs.json'), JSON.stringify(observed));
    const cellId = await claim(place);
    await using admission = await admissionOf(place);
    await expectRefusal(place, admission, 'memory', /^\S+ GiB are free; .* the next needs about \S+ GiB$/, () =>
      place.steps.teardownCell({ cellId }),
    );
  });

  test('while its breaker is open, and then tries one cell, and no other until that one is well', async () => {
    await using place = await startCellHost();
    const spawns = createBreaker({ pauseMs: 4_000 });
    for (const cell of ['one', 'two', 'three', 'four', 'five']) spawns.failed(cell);
    await using admission = await admissionOf({ ...place, host: { ...place.host, spawns } });
    const said = /^spawns failed one after the other; the next try is in \d+ s$/;
    await using first = await expectRefused(place, admission, 'breaker', said);
    expect(await admission.refuse()).toMatch(/^breaker: /);
    await first.waiting;
    expect(spawns.now().state).toBe('half-open');
    admission.placeClaimed();
    expect(await admission.refuse()).toBeNull();
    admission.placeReleased(true);
    await using second = await expectRefused(
      place,
      admission,
      'breaker',
      /^one spawn is tried; the next try is in \d+ s$/,
    );
    spawns.succeeded();
    await second.waiting;
    expect(spawns.now().state).toBe('closed');
  });

  for (const reason of ['memory', 'disk'] as const) {
    test(`while less ${reason} is free than the operator has set aside, even without any cell`, async () => {
      await using place = await startCellHost();
      await using admission = await admissionOf(place, { [`CELLS_${reason.toUpperCase()}_RESERVE`]: '900t' });
      await using _waits = await expectRefused(place, admission, reason, /; 921600\.0 GiB are kept free, /);
    });
  }

  test('when its worker stops', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place);
    admission.stop();
    await using _waits = await expectRefused(place, admission, 'stopping', /^the worker is stopping$/);
  });

  test('when its worker stops, and says so also when that is the last that it does', async () => {
    await using place = await startCellHost();
    const admission = await admissionOf(place);
    admission.stop();
    await admission[Symbol.asyncDispose]();
    expect((await readAdmissionState(place.stateDirectory))?.reason).toBe('stopping');
  });
});

describe('a host that has room', () => {
  test('asks for a cell at once, says so, and refuses one that comes when the room is gone', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place, { CELLS_CAPACITY: '2' });
    const signal = AbortSignal.timeout(patience);
    await admission.keepPlace(signal);
    expect(admission.state()).toMatchObject({ claims: true, reason: null, places: { taken: 0, capacity: 2 } });
    admission.placeClaimed();
    expect(await admission.refuse()).toBeNull();
    await claim(place);
    admission.placeReleased(true);
    await admission.keepPlace(signal);
    await claim(place);
    admission.placeClaimed();
    expect(await admission.refuse()).toBe('full: 2 of 2 places are taken');
  });

  test('gives a place that was kept for nothing to the next', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place, { CELLS_CAPACITY: '1' });
    for (let poll = 0; poll < 3; poll += 1) {
      await admission.keepPlace(AbortSignal.timeout(patience));
      expect(admission.state().claims).toBe(true);
      admission.placeReleased(false);
    }
  });

  test('stops waiting for room when it is told to', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place, { CELLS_MEMORY_RESERVE: '900t' });
    const controller = new AbortController();
    const waiting = admission.keepPlace(controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow();
  });

  test('has some to spare only when nobody has answered its poll for a while', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place, { CELLS_CAPACITY: '2' });
    expect(await admission.hasSpareRoom()).toBe(false);
    await admission.keepPlace(AbortSignal.timeout(patience));
    expect(await admission.hasSpareRoom()).toBe(false);
    await waitUntil(() => admission.hasSpareRoom(), patience);
    admission.placeReleased(false);
    expect(await admission.hasSpareRoom(), 'nobody is asked').toBe(false);
    await claim(place);
    await claim(place);
    expect(await admission.hasSpareRoom(), 'no cell can come').toBe(true);
  });

  test('writes the file anew while nothing changes, so that a reader can tell whether its worker lives', async () => {
    await using place = await startCellHost();
    await using admission = await admissionOf(place);
    const file = join(place.stateDirectory, 'admission.json');
    const first = admission.state().at;
    await waitUntil(async () => ((await readAdmissionState(place.stateDirectory))?.at ?? 0) > first, patience);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await writeFile(file, '{"version":2}');
    expect(await readAdmissionState(place.stateDirectory)).toBeNull();
    await rm(file);
    expect(await readAdmissionState(place.stateDirectory)).toBeNull();
  });
});

async function admissionOf(
  place: Pick<CellHostUnderTest, 'host'>,
  env: Record<string, string> = {},
): Promise<Admission> {
  return await startAdmission(place.host, readConfig({ HOME: '/', ...env }, { dotenv: null }));
}

/** Takes a place on the host, as a claim does, and makes nothing on it. */
async function claim(place: CellHostUnderTest): Promise<string> {
  const request = requestOf();
  return (await place.steps.claimHost({ owner: ownerOf(request), request })).cellId;
}

/** Expects that the host waits, and says why in memory and on the disk. Disposing of it ends the wait. */
async function expectRefused(
  place: CellHostUnderTest,
  admission: Admission,
  reason: string,
  detail: RegExp,
): Promise<AsyncDisposable & { waiting: Promise<void> }> {
  const controller = new AbortController();
  let kept = false;
  const waiting = admission.keepPlace(controller.signal).then(() => void (kept = true));
  waiting.catch(() => undefined);
  await waitUntil(async () => (await readAdmissionState(place.stateDirectory))?.reason === reason, patience);
  expect(await readAdmissionState(place.stateDirectory)).toMatchObject({
    claims: false,
    detail: expect.stringMatching(detail) as string,
  });
  await waitUntil(() => admission.state().reason === reason, patience);
  expect(kept).toBe(false);
  return {
    waiting,
    async [Symbol.asyncDispose]() {
      controller.abort();
      await waiting.catch(() => undefined);
    },
  };
}

async function expectRefusal(
  place: CellHostUnderTest,
  admission: Admission,
  reason: string,
  detail: RegExp,
  remedy: () => Promise<unknown>,
): Promise<void> {
  await using refused = await expectRefused(place, admission, reason, detail);
  await remedy();
  await refused.waiting;
  await waitUntil(async () => (await readAdmissionState(place.stateDirectory))?.claims === true, patience);
}
