import type { Refusal, RefusalCode } from './refusal.ts';

/** The requests of a cell that were refused for one reason within a while. */
export interface Refused {
  cellId: string;
  code: RefusalCode;
  why: string;
  count: number;
}

/** What the cell is not to blame for: its request was allowed. */
const faults: readonly RefusalCode[] = ['provider_unreachable', 'provider_silent', 'gateway_failed'];

/** How long equal refusals are gathered before they are told again, milliseconds. */
const gathering = 60_000;

/**
 * Tells of refusals: the first at once, and those that follow for the same reason once a minute, by their number. An agent can provoke any
 * number of them, and would push everything else out of a log with bounds.
 */
export function countRefusals(tell: (refused: Refused) => void): {
  refused(cellId: string, refusal: Refusal): void;
  /** Tells what was gathered of a cell. */
  closed(cellId: string): void;
} {
  const gathered = new Map<string, Refused & { timer: NodeJS.Timeout }>();
  const tellOf = (key: string) => {
    const known = gathered.get(key);
    gathered.delete(key);
    if (known === undefined) return;
    clearTimeout(known.timer);
    const { cellId, code, why, count } = known;
    if (count > 0) tell({ cellId, code, why, count });
  };
  return {
    refused(cellId, { code, message: why }) {
      if (faults.includes(code)) return;
      const key = `${cellId} ${code}`;
      const known = gathered.get(key);
      if (known !== undefined) return void (known.count += 1);
      tell({ cellId, code, why, count: 1 });
      const timer = setTimeout(() => tellOf(key), gathering).unref();
      gathered.set(key, { cellId, code, why, count: 0, timer });
    },
    closed(cellId) {
      for (const [key, known] of gathered) if (known.cellId === cellId) tellOf(key);
    },
  };
}
