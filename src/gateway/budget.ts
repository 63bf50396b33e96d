import type { Estimate } from './estimate.ts';

/** The budget of a cell does not have room for the request. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent';
}

/** Room for one request, held until it is over. */
export interface Reservation {
  /** Gives the room back and counts what was used instead. Once. */
  settle(used: number): void;
}

/** The token budget of one cell, shared by all requests that are under way. */
export interface Budget {
  /**
   * Makes room for a request. Where there would be room if others that are under way used nothing, it waits for them.
   *
   * @throws BudgetSpent when the input alone does not fit any more, and the reason of the signal.
   */
  reserve(estimate: Estimate, signal: AbortSignal): Promise<Reservation>;
  /** Raises the budget, never lowers it. */
  raise(total: number): void;
  state(): BudgetState;
}

/** Tokens of all kinds. */
export interface BudgetState {
  total: number;
  used: number;
  reserved: number;
}

interface Waiting {
  estimate: Estimate;
  admit: (reservation: Reservation) => void;
  refuse: (error: unknown) => void;
}

/**
 * A request holds the most that it may use. Where that does not fit, it holds all that is left, and nobody else is let in before it
 * is over: so what is used goes above the budget by one request at most, however wrong its estimate is.
 */
export function createBudget(given: number, alreadyUsed = 0): Budget {
  let total = given;
  let used = alreadyUsed;
  let reserved = 0;
  /** The one request that holds less than it may use. */
  let tight: { size: number; most: number } | null = null;
  const queue: Waiting[] = [];

  const reserveNow = ({ most }: Estimate): Reservation => {
    const held = { size: Math.min(most, total - used - reserved), most };
    reserved += held.size;
    if (held.size < most) tight = held;
    let settled = false;
    return {
      settle(count) {
        if (settled) return;
        settled = true;
        reserved -= held.size;
        used += count;
        if (tight === held) tight = null;
        serve();
      },
    };
  };
  const topUp = (): void => {
    if (tight === null) return;
    const more = Math.min(tight.most - tight.size, Math.max(0, total - used - reserved));
    tight.size += more;
    reserved += more;
    if (tight.size === tight.most) tight = null;
  };
  const serve = (): void => {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      const { input } = next.estimate;
      const fits = input < total - used;
      if (fits && (tight !== null || input >= total - used - reserved)) return;
      queue.shift();
      if (fits) next.admit(reserveNow(next.estimate));
      else next.refuse(spent({ total, used, reserved }, input));
    }
  };
  return {
    async reserve(estimate, signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<Reservation>();
      const waiting: Waiting = { estimate, admit: resolve, refuse: reject };
      const leave = () => {
        const place = queue.indexOf(waiting);
        if (place >= 0) queue.splice(place, 1);
        reject(signal.reason);
        serve();
      };
      signal.addEventListener('abort', leave, { once: true });
      queue.push(waiting);
      serve();
      return promise.finally(() => signal.removeEventListener('abort', leave));
    },
    raise(wanted) {
      total = Math.max(total, wanted);
      topUp();
      serve();
    },
    state: () => ({ total, used, reserved }),
  };
}

function spent({ total, used }: BudgetState, input: number): BudgetSpent {
  return new BudgetSpent(
    `the token budget of this cell is spent: ${used} of ${total} tokens are used, and this request takes about ${input} before its answer`,
  );
}
