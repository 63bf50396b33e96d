import { describe, expect, test } from 'vitest';
import { addTransition, lifecycles, mayFollow, type Transition } from '../../../src/domain/lifecycle.ts';

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

describe('the transitions of a cell', () => {
  const added = (count: number) => {
    const history: Transition[] = [];
    for (let at = 0; at < count; at += 1) addTransition(history, { lifecycle: 'recovering', step: 'queue', at });
    return history.map(({ at }) => at);
  };
  const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

  test('are kept, all of them, as long as they are few', () => expect(added(100)).toEqual(numbers(0, 99)));

  test('are kept from the beginning and to the end when there are more', () => {
    expect(added(101)).toEqual([...numbers(0, 49), ...numbers(51, 100)]);
    expect(added(1000)).toEqual([...numbers(0, 49), ...numbers(950, 999)]);
  });
});
