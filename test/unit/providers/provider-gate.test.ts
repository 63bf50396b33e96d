import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { type ProviderGate, createProviderGate } from '../../../src/providers/provider-gate.ts';

const model = 'provider/model';
const cell = (cellId: string) => ({ cellId, model });
const { signal } = new AbortController();

describe('the gate of a model', () => {
  let now: number;
  let gate: ProviderGate;
  beforeEach(() => {
    now = 1_000_000;
    gate = createProviderGate({ clock: () => now, random: () => 0, interval: 1 });
  });

  /** Five failures of two cells; the last is of `b`, which asks again by itself. */
  const breakDown = (nextAt: number | null = now + 8_000) => {
    for (const cellId of ['a', 'a', 'b', 'a']) gate.failed(cell(cellId), 'HTTP 503', now + 1_000);
    gate.failed(cell('b'), 'HTTP 503', nextAt);
  };
  /** Whether a prompt goes out now; one that does not is taken back. */
  const passes = async (cellId: string): Promise<boolean> => {
    const waiting = new AbortController();
    const passed = gate
      .pass(cell(cellId), () => undefined, waiting.signal)
      .then(
        () => true,
        () => false,
      );
    await delay(10);
    waiting.abort();
    return await passed;
  };
  const outage = () => gate.list()[0]?.outage;

  test('lets prompts out while requests fail now and then', async () => {
    for (let failure = 0; failure < 20; failure += 1) {
      gate.failed(cell(failure % 2 ? 'a' : 'b'), 'HTTP 503', now + 1_000);
      if (failure % 4 === 3) gate.answered(model);
    }
    expect(await passes('c')).toBe(true);
  });

  test('lets prompts out when the failures are of one cell, or of long ago', async () => {
    for (let failure = 0; failure < 20; failure += 1) gate.failed(cell('a'), 'HTTP 503', now + 1_000);
    expect(outage()).toBeNull();
    now += 61_000;
    gate.failed(cell('b'), 'HTTP 503', now + 1_000);
    expect(await passes('c')).toBe(true);
  });

  test('holds all back but the one that asks again by itself', async () => {
    breakDown();
    expect(gate.holdsBack(cell('b'))).toBe(false);
    expect(gate.holdsBack(cell('a'))).toBe(true);
    expect(await passes('c')).toBe(false);
    expect(outage()).toEqual({ since: now, reason: 'HTTP 503', nextTryAt: now + 8_000 });
    now += 60_000;
    expect(await passes('c')).toBe(false);
  });

  test('lets one after the other try when the one before has given up, after pauses that grow', async () => {
    breakDown(null);
    expect(await passes('c')).toBe(false);
    now += 30_000;
    expect(await passes('c')).toBe(true);
    expect(await passes('d')).toBe(false);
    gate.failed(cell('c'), 'HTTP 500', null);
    expect(outage()).toMatchObject({ reason: 'HTTP 500', nextTryAt: now + 60_000 });
    gate.left(cell('c'));
    expect(await passes('d')).toBe(false);
    now += 60_000;
    expect(await passes('d')).toBe(true);
    for (let tries = 0; tries < 9; tries += 1) {
      gate.failed(cell('d'), 'HTTP 500', null);
      now = outage()?.nextTryAt ?? 0;
      expect(await passes('d')).toBe(true);
    }
    gate.failed(cell('d'), 'HTTP 500', null);
    expect(outage()?.nextTryAt).toBe(now + 300_000);
  });

  test('keeps to the time that the provider named when the one that waits for it is gone', async () => {
    breakDown(now + 600_000);
    gate.left(cell('b'));
    expect(await passes('c')).toBe(false);
    now += 600_000;
    expect(await passes('c')).toBe(true);
  });

  test('lets all out when somebody has an answer, and says until then what they wait for', async () => {
    breakDown();
    const said: string[] = [];
    const waiting = ['c', 'd'].map((cellId) => gate.pass(cell(cellId), (what) => said.push(what), signal));
    await delay(10);
    expect(gate.list()).toMatchObject([{ model, waiting: 2 }]);
    expect(new Set(said)).toEqual(new Set([`waiting for provider ${model} until 1970-01-01T00:16:48.000Z: HTTP 503`]));
    gate.answered(model);
    await Promise.all(waiting);
    expect(gate.list()).toEqual([{ model, outage: null, waiting: 0 }]);
  });

  test('says nothing of another model', async () => {
    breakDown();
    expect(gate.holdsBack({ cellId: 'c', model: 'provider/other' })).toBe(false);
  });
});
