import type { TokenUsage } from '../domain/outcome.ts';
import type { CallKind } from './conversation.ts';

/**
 * How a request ended: answered in full; with the error, the cut or the garbage that the script wanted; refused, since no script
 * has an answer to it; or left by its client, which is also how silence ends.
 */
export type CallOutcome = 'under-way' | 'finished' | 'error' | 'cut' | 'garbage' | 'refused' | 'client-gone';

/** What a request was, as far as it could be read; positions count from 1. */
export interface LedgerCall {
  /** Null when the request could not be read. */
  kind: CallKind | null;
  /** The script that answers; null when none does. */
  script: string | null;
  /** The marker in the prompt, whether or not a script has that name. */
  marker: string | null;
  round: number | null;
  turn: number | null;
  /** How often this turn of this session was asked for, this time included. */
  try: number | null;
  session: string | null;
  /** Equal for requests of the same conversation: a request that was sent again. */
  fingerprint: string | null;
  /** The beginning of the user's last message, at most 200 characters. */
  prompt: string | null;
  model: string | null;
}

/** One request that the scripted model received. */
export interface LedgerEntry extends LedgerCall {
  /** Counts the requests from 1. */
  id: number;
  /** When it was received, milliseconds since the epoch. */
  at: number;
  /** Null while it is under way. */
  durationMs: number | null;
  /** The HTTP status; null when none was sent. */
  status: number | null;
  outcome: CallOutcome;
  /** What the client was told; null when the answer did not come that far, or it did not ask. */
  usage: TokenUsage | null;
}

/** What is known of an answer when it is over. */
export type LedgerEnding = Pick<LedgerEntry, 'status' | 'outcome' | 'usage'>;

export interface Ledger {
  /** Enters a request; the function that comes back closes it, once. */
  enter(call: LedgerCall): (ending: LedgerEnding) => void;
  /** How often a turn of a session was asked for so far. */
  triesOf(call: Pick<LedgerCall, 'session' | 'script' | 'round' | 'turn'>): number;
  /** A copy, oldest first. */
  entries(): LedgerEntry[];
  clear(): void;
}

/** So that a server that runs for days does not grow. */
const mostEntries = 10_000;

/** What every request left behind. Beyond 10,000 the oldest go. */
export function createLedger(): Ledger {
  let entries: LedgerEntry[] = [];
  let nextId = 1;
  return {
    enter(call) {
      const entry: LedgerEntry = {
        ...call,
        id: nextId++,
        at: Date.now(),
        durationMs: null,
        status: null,
        outcome: 'under-way',
        usage: null,
      };
      entries.push(entry);
      if (entries.length > mostEntries) entries.shift();
      return (ending) => {
        if (entry.outcome === 'under-way') Object.assign(entry, ending, { durationMs: Date.now() - entry.at });
      };
    },
    triesOf: ({ session, script, round, turn }) =>
      entries.filter(
        (entry) =>
          entry.kind === 'turn' &&
          entry.session === session &&
          entry.script === script &&
          entry.round === round &&
          entry.turn === turn,
      ).length,
    entries: () => structuredClone(entries),
    clear: () => void (entries = []),
  };
}
