/** What a breaker knows at this moment. */
export interface BreakerState {
  /** `half-open`: the pause is over, and one try decides. */
  state: 'closed' | 'open' | 'half-open';
  /** Failures that count just now. */
  failures: number;
  /** From when on the next try may be made, milliseconds since the epoch; null while closed. */
  nextTryAt: number | null;
}

/** Holds back what has just failed again and again, until one try at a time has found out that it goes again. */
export interface Breaker {
  succeeded(): void;
  /** @param what has failed: failures of one thing alone say more of it than of the host, and open nothing. */
  failed(what: string): void;
  /** A try begins. One whose outcome never comes blocks nothing: there is another after the next pause. */
  tried(): void;
  now(): BreakerState;
}

export interface BreakerOptions {
  /** So many, of two things at least, open it. Default 5. */
  failures?: number;
  /** Within this time, milliseconds. Default a minute. */
  withinMs?: number;
  /** How long is waited before each try, milliseconds. Default a minute. */
  pauseMs?: number;
  clock?: () => number;
}

const minute = 60_000;

/**
 * Makes a breaker that is closed. It is told of outcomes and not wrapped around a call, as breakers of libraries are: the claim
 * that is held back and the spawn that fails are steps of different activities.
 */
export function createBreaker(options: BreakerOptions = {}): Breaker {
  const { failures: limit = 5, withinMs = minute, pauseMs = minute, clock = Date.now } = options;
  let failed: { what: string; at: number }[] = [];
  let nextTryAt: number | null = null;
  let trying = false;

  const recent = () => (failed = failed.filter(({ at }) => at > clock() - withinMs));
  const open = () => {
    nextTryAt = clock() + pauseMs;
    trying = false;
  };

  return {
    succeeded() {
      // What succeeds while nothing is tried was begun before it opened.
      if (!trying) return;
      nextTryAt = null;
      trying = false;
      failed = [];
    },
    failed(what) {
      failed.push({ what, at: clock() });
      const many = recent().length >= limit && new Set(failed.map((failure) => failure.what)).size > 1;
      if (trying || (nextTryAt === null && many)) open();
    },
    tried() {
      if (nextTryAt === null) return;
      nextTryAt = clock() + pauseMs;
      trying = true;
    },
    now() {
      const failures = recent().length;
      if (nextTryAt === null) return { state: 'closed', failures, nextTryAt };
      return { state: trying || clock() >= nextTryAt ? 'half-open' : 'open', failures, nextTryAt };
    },
  };
}
