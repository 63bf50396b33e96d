import { describe, expect, test } from 'vitest';
import { lifecycles, mayFollow } from '../../../src/domain/lifecycle.ts';

describe('the lifecycle of a cell', () => {
  test('goes from its creation to its end by the way that succeeds, and by the way that recovers', () => {
    const success = ['created', 'initialising', 'ready', 'processing', 'ready', 'terminating', 'terminated'] as const;
    const recovery = ['processing', 'error', 'recovering', 'ready', 'processing'] as const;
    for (const way of [success, recovery]) {
      expect(way.slice(1).every((to, index) => mayFollow(way[index] ?? to, to))).toBe(true);
    }
  });

  test('may end from everywhere, and then never goes back', () => {
    for (const lifecycle of lifecycles) {
      if (lifecycle !== 'terminated') expect(mayFollow(lifecycle, 'terminating')).toBe(true);
      if (lifecycle !== 'terminated' && lifecycle !== 'terminating')
        expect(mayFollow('terminating', lifecycle)).toBe(false);
    }
    expect(lifecycles.filter((lifecycle) => mayFollow('terminated', lifecycle))).toEqual(['terminated']);
  });

  test('processes only what is ready, and recovers only from an error', () => {
    expect(lifecycles.filter((from) => mayFollow(from, 'processing'))).toEqual(['ready', 'processing']);
    expect(lifecycles.filter((from) => mayFollow(from, 'recovering'))).toEqual(['error', 'recovering']);
  });
});
