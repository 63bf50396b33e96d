import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Reservation, BudgetSpent, createBudget } from '../../../src/gateway/budget.ts';

const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a budget', () => {
  test('lets in of twenty requests at once those that fit, and the others as room is given back', async () => {
    const budget = createBudget(1000);
    const inside: Reservation[] = [];
    const refused: unknown[] = [];
    const all = Array.from({ length: 20 }, () =>
      budget.reserve({ input: 100, most: 300 }, never).then(
        (room) => inside.push(room),
        (error: unknown) => refused.push(error),
      ),
    );
    await settled();
    expect([inside.length, refused.length, budget.state().reserved]).toEqual([3, 0, 900]);
    let admitted = 0;
    for (let room = inside.shift(); room !== undefined; room = inside.shift()) {
      admitted += 1;
      room.settle(150);
      await settled();
    }
    await Promise.all(all);
    expect(admitted).toBe(6);
    expect(budget.state()).toEqual({ total: 1000, used: 900, reserved: 0 });
    expect(refused).toHaveLength(14);
    expect(refused.every((error) => error instanceof BudgetSpent)).toBe(true);
  });

  test('is overspent by one request at most, whatever is asked and used, also when it is raised', async () => {
    // An estimate of the input may be far off, what it may be at most is not.
    const estimate = fc.record({ input: fc.integer({ min: 1, max: 300 }), most: fc.integer({ min: 1, max: 800 }) });
    const request = fc.record({ estimate, share: fc.double({ min: 0, max: 1, noNaN: true }), now: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 30 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 0, max: 3000 }),
        async (requests, total, more) => {
          const budget = createBudget(total);
          const open: (() => void)[] = [];
          let largest = 0;
          const all = requests.map(async ({ estimate: { input, most }, share, now }) => {
            const room = await budget.reserve({ input, most }, never).catch(() => null);
            if (room === null) return;
            const used = Math.round(most * share);
            largest = Math.max(largest, used);
            const settle = () => room.settle(used);
            if (now) settle();
            else open.push(settle);
          });
          const { used, reserved } = budget.state();
          expect(used + reserved).toBeLessThanOrEqual(total + largest);
          budget.raise(total + more);
          let over = false;
          void Promise.all(all).then(() => (over = true));
          for (await settled(); !over; await settled()) open.shift()?.();
          for (const settle of open) settle();
          expect(budget.state().reserved).toBe(0);
          expect(budget.state().used).toBeLessThanOrEqual(total + more + largest);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('holds what is left for a request whose longest answer does not fit, and lets nobody else in before it is over', async () => {
    const budget = createBudget(1000);
    const first = await budget.reserve({ input: 100, most: 5100 }, never);
    expect(budget.state().reserved).toBe(1000);
    let second = false;
    const waiting = budget.reserve({ input: 10, most: 20 }, never).then((room) => {
      second = true;
      return room;
    });
    await settled();
    expect(second).toBe(false);
    first.settle(300);
    (await waiting).settle(20);
    expect(budget.state()).toEqual({ total: 1000, used: 320, reserved: 0 });
  });

  test('counts a request once, however often it is settled', async () => {
    const budget = createBudget(1000);
    const room = await budget.reserve({ input: 10, most: 20 }, never);
    room.settle(15);
    room.settle(15);
    expect(budget.state()).toEqual({ total: 1000, used: 15, reserved: 0 });
  });

  test('goes on from what was used before', async () => {
    const budget = createBudget(1000, 1000);
    await expect(budget.reserve({ input: 1, most: 2 }, never)).rejects.toThrow(/1000 of 1000 tokens are used/);
  });

  test('that is raised lets in who waits; it is never lowered', async () => {
    const budget = createBudget(100);
    const first = await budget.reserve({ input: 50, most: 100 }, never);
    const waiting = budget.reserve({ input: 60, most: 70 }, never);
    budget.raise(50);
    expect(budget.state().total).toBe(100);
    budget.raise(200);
    (await waiting).settle(70);
    first.settle(100);
    expect(budget.state()).toEqual({ total: 200, used: 170, reserved: 0 });
  });

  test('that is raised so far that the one which held all of it fits lets in who waits behind it', async () => {
    const budget = createBudget(1000);
    const first = await budget.reserve({ input: 100, most: 5100 }, never);
    let second: Reservation | null = null;
    void budget.reserve({ input: 10, most: 20 }, never).then((room) => (second = room));
    budget.raise(3000);
    await settled();
    expect([second, budget.state().reserved]).toEqual([null, 3000]);
    budget.raise(10_000);
    await settled();
    expect([second, budget.state().reserved]).toEqual([{ settle: expect.any(Function) }, 5120]);
    first.settle(300);
    expect(budget.state()).toEqual({ total: 10_000, used: 300, reserved: 20 });
  });

  test('that is raised still lets nobody in beside a request whose answer has no limit', async () => {
    const budget = createBudget(1000);
    const first = await budget.reserve({ input: 100, most: Infinity }, never);
    const waiting = budget.reserve({ input: 10, most: 20 }, never);
    budget.raise(1_000_000);
    await settled();
    expect(budget.state().reserved).toBe(1_000_000);
    first.settle(300);
    (await waiting).settle(20);
    expect(budget.state()).toEqual({ total: 1_000_000, used: 320, reserved: 0 });
  });

  test('forgets a request that gives up while it waits', async () => {
    const budget = createBudget(100);
    const first = await budget.reserve({ input: 50, most: 100 }, never);
    const leaving = new AbortController();
    const given = budget.reserve({ input: 50, most: 60 }, leaving.signal);
    const behind = budget.reserve({ input: 10, most: 20 }, never);
    leaving.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    first.settle(10);
    (await behind).settle(10);
    expect(budget.state()).toEqual({ total: 100, used: 20, reserved: 0 });
  });
});
