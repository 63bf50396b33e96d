import type { Refusal, RefusalCode } from './refusal.ts';

/** The requests of a cell that were refused for one reason within a while. */
export interface Refused {
  cellId: string;
  code: RefusalCode;
  why: string;
  count: number;
}

/** The requests of a cell that the gateway itself could not pass on within a while. */
export interface Failed {
  cellId: string;
  /** Of the first of them. */
  error: unknown;
  count: number;
}

/** Who hears what; of equal things the first at once, and those that follow once a minute, by their number. */
export interface RefusalListeners {
  /** A request that was not allowed. */
  refused(refused: Refused): void;
  /** A fault of this host: its disk is full, say. */
  failed(failed: Failed): void;
}

/** What neither the cell nor this host is to blame for: the request was allowed. */
const faultsOfProvider: readonly RefusalCode[] = ['provider_unreachable', 'provider_silent'];

/** How long equal refusals are gathered before they are told again, milliseconds. */
const gathering = 60_000;

/**
 * Tells of refusals, and of failures of the gateway. An agent can provoke any number of them, and would push everything else out of a
 * log with bounds.
 */
export function countRefusals(tell: RefusalListeners): {
  refused(cellId: string, refusal: Refusal): void;
  /** Tells what was gathered of a cell. */
  closed(cellId: string): void;
} {
  const gathered = new Map<
    string,
    { cellId: string; say: (count: number) => void; count: number; timer: NodeJS.Timeout }
  >();
  const tellOf = (key: string) => {
    const known = gathered.get(key);
    gathered.delete(key);
    if (known === undefined) return;
    clearTimeout(known.timer);
    if (known.count > 0) known.say(known.count);
  };
  return {
    refused(cellId, { code, message: why, cause: error }) {
      if (faultsOfProvider.includes(code)) return;
      const key = `${cellId} ${code}`;
      const known = gathered.get(key);
      if (known !== undefined) return void (known.count += 1);
      const say = (count: number) =>
        code === 'gateway_failed' ? tell.failed({ cellId, error, count }) : tell.refused({ cellId, code, why, count });
      say(1);
      const timer = setTimeout(() => tellOf(key), gathering).unref();
      gathered.set(key, { cellId, say, count: 0, timer });
    },
    closed(cellId) {
      for (const [key, known] of gathered) if (known.cellId === cellId) tellOf(key);
    },
  };
}
