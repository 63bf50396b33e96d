import { describe, expect, test } from 'vitest';
import { cpuPercent } from '../../../src/cell/use-of-cell.ts';
import { createMemoryAlerts } from '../../../src/worker/memory-alerts.ts';

const mebibyte = 1024 ** 2;

describe('an alert of memory', () => {
  test('begins at nine tenths of the limit, is told once, and is over well below', () => {
    const alerts = createMemoryAlerts();
    const look = (memory: number) => alerts.look('cell', memory * mebibyte, 1000 * mebibyte);
    expect([look(500), look(899)]).toEqual([null, null]);
    expect(look(900)).toEqual({ above: true, text: 'the cell uses 900 of 1000 MiB of memory' });
    expect([look(990), look(850), look(900)]).toEqual([null, null, null]);
    expect(look(799)).toEqual({ above: false, text: null });
    expect(look(950)).toMatchObject({ above: true });
  });

  test('is of one cell, and forgotten with it', () => {
    const alerts = createMemoryAlerts();
    expect(alerts.look('one', 95, 100)).toMatchObject({ above: true });
    expect(alerts.look('other', 95, 100)).toMatchObject({ above: true });
    alerts.forget(new Set(['other']));
    expect(alerts.look('one', 95, 100)).toMatchObject({ above: true });
    expect(alerts.look('other', 95, 100)).toBeNull();
  });
});

test('processor time is of one processor, between two looks, and never below nothing', () => {
  expect(cpuPercent(undefined, { at: 1000, cpuMs: 50 })).toBeNull();
  expect(cpuPercent({ at: 1000, cpuMs: 50 }, { at: 2000, cpuMs: 1550 })).toBe(150);
  // A process that ended took its time along.
  expect(cpuPercent({ at: 1000, cpuMs: 900 }, { at: 2000, cpuMs: 100 })).toBe(0);
});
