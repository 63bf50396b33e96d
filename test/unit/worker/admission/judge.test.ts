import { describe, expect, test } from 'vitest';
import { type Rules, judge } from '../../../../src/worker/admission/judge.ts';
import type { Figures } from '../../../../src/worker/admission/state.ts';

const megabyte = 1024 ** 2;
const gigabyte = 1024 ** 3;

/** A host with two cells that have grown, and room for more. */
const roomy: Figures = {
  places: { taken: 2, claiming: 0, capacity: 50 },
  memory: { total: 24 * gigabyte, available: 20 * gigabyte, reserve: gigabyte, growth: 0, need: 400 * megabyte },
  disk: { available: 100 * gigabyte, reserve: 5 * gigabyte, growth: 0, need: 256 * megabyte },
  ports: { from: 9000, to: 9999, free: 900, wanted: 0 },
  breaker: { state: 'closed', failures: 0, nextTryAt: null },
};
const empty = { ...roomy, places: { ...roomy.places, taken: 0 } };

const rules: Rules = { memoryReserve: null, diskReserve: null, cells: 1, now: 1_000 };
const reasonFor = (figures: Figures, more: Partial<Rules> = {}) => judge(figures, { ...rules, ...more })?.reason;

describe('a host takes one more cell', () => {
  test('when it has a place, a port, disk and memory for it', () => {
    expect(judge(roomy, rules)).toBeNull();
  });

  test('to the last byte that it needs, and not with one less', () => {
    const memory = { ...roomy.memory, growth: 100 * megabyte, available: (1024 + 100 + 400) * megabyte };
    expect(reasonFor({ ...roomy, memory })).toBeUndefined();
    expect(reasonFor({ ...roomy, memory: { ...memory, available: memory.available - 1 } })).toBe('memory');
    const disk = { ...roomy.disk, growth: gigabyte, available: 6 * gigabyte + 256 * megabyte };
    expect(reasonFor({ ...roomy, disk })).toBeUndefined();
    expect(reasonFor({ ...roomy, disk: { ...disk, available: disk.available - 1 } })).toBe('disk');
  });

  test('when it has none and little memory or disk, unless the operator set more aside, or nothing could run', () => {
    const memory = { ...roomy.memory, total: gigabyte, available: 300 * megabyte, reserve: 100 * megabyte };
    const disk = { ...roomy.disk, available: gigabyte };
    expect(reasonFor({ ...empty, memory, disk })).toBeUndefined();
    expect(reasonFor({ ...roomy, memory })).toBe('memory');
    expect(reasonFor({ ...roomy, disk })).toBe('disk');
    expect(reasonFor({ ...empty, memory }, { memoryReserve: 100 * megabyte })).toBe('memory');
    expect(reasonFor({ ...empty, disk }, { diskReserve: gigabyte })).toBe('disk');
    expect(reasonFor({ ...empty, memory: { ...memory, available: 255 * megabyte } })).toBe('memory');
    expect(reasonFor({ ...empty, disk: { ...disk, available: 127 * megabyte } })).toBe('disk');
  });

  test('when the pause of its breaker is over', () => {
    const breaker = { state: 'half-open' as const, failures: 5, nextTryAt: 1_000 };
    expect(reasonFor({ ...roomy, breaker })).toBeUndefined();
    expect(judge({ ...roomy, breaker: { ...breaker, state: 'open' } }, { ...rules, now: -29_500 })).toEqual({
      reason: 'breaker',
      detail: 'spawns failed one after the other; the next try is in 31 s',
    });
  });
});

describe('a host takes none', () => {
  test('when every place is taken, or about to be', () => {
    const places = { taken: 48, claiming: 2, capacity: 50 };
    expect(judge({ ...roomy, places }, rules)).toEqual({ reason: 'full', detail: '50 of 50 places are taken' });
  });

  test('when cells that are here are about to take the last ports', () => {
    expect(reasonFor({ ...roomy, ports: { ...roomy.ports, free: 3, wanted: 2 } })).toBeUndefined();
    expect(judge({ ...roomy, ports: { ...roomy.ports, free: 2, wanted: 2 } }, rules)).toEqual({
      reason: 'ports',
      detail: '2 ports are free in 9000-9999, and 2 are about to be taken',
    });
  });

  test('and says the figures', () => {
    const memory = { ...roomy.memory, available: 1.5 * gigabyte, growth: 300 * megabyte };
    expect(judge({ ...roomy, memory }, rules)?.detail).toBe(
      '1.5 GiB are free; 1.0 GiB are kept free, cells that are here have 300 MiB to grow, the next needs about 400 MiB',
    );
  });
});

test('room for several cells is judged as if they came at once', () => {
  const memory = { ...roomy.memory, available: 1024 * megabyte + 2 * 400 * megabyte };
  expect(reasonFor({ ...roomy, memory }, { cells: 2 })).toBeUndefined();
  expect(reasonFor({ ...roomy, memory }, { cells: 3 })).toBe('memory');
  expect(reasonFor({ ...roomy, places: { taken: 48, claiming: 1, capacity: 50 } }, { cells: 2 })).toBe('full');
  expect(reasonFor({ ...empty, memory: { ...memory, available: gigabyte } }, { cells: 2 }), 'mildness is for one').toBe(
    'memory',
  );
});
