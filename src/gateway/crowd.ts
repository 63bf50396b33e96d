import { Refusal } from './refusal.ts';

/** What one cell has inside the gateway at once. It has bounds, for all of it is in memory while it waits; an agent has a few. */
export interface Crowd {
  /** Requests that are inside. */
  size(): number;
  /** Lets a request in until its place is disposed of. @throws Refusal */
  enter(): Place;
}

/** The place of one request. */
export interface Place extends Disposable {
  /** Makes room for more bytes of its body. @throws Refusal */
  take(bytes: number): void;
}

const most = { requests: 64, mebibytes: 64 };

export function createCrowd(): Crowd {
  let requests = 0;
  let bytes = 0;
  return {
    size: () => requests,
    enter() {
      if (requests >= most.requests) throw tooMany(`${most.requests} requests`);
      requests += 1;
      let own = 0;
      return {
        take(more) {
          if (bytes + more > most.mebibytes * 1024 * 1024) throw tooMany(`requests of ${most.mebibytes} MiB`);
          own += more;
          bytes += more;
        },
        [Symbol.dispose]() {
          requests -= 1;
          bytes -= own;
        },
      };
    },
  };
}

const tooMany = (what: string): Refusal =>
  new Refusal('too_many_requests', `this cell may have ${what} under way at once, and has them`);
