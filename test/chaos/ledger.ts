import type { CellReport } from '../../src/client.ts';
import type { LedgerEntry } from '../../src/scripted-model/ledger.ts';
import type { HeldCell } from './held-cell.ts';

/** What a cell's model was asked for more often than it should have been. */
export interface AskedAgain {
  problems: string[];
  promptsTwice: number;
}

/**
 * Each prompt reached the model once: a session has as many messages of the user as there were rounds, each another one, and
 * there is one session for each time that the cell was made. A turn that was answered in full is not asked for again, but
 * where the server that asked died before it had made use of the answer.
 */
export function askedAgain(cell: Pick<HeldCell, 'pair' | 'turns'>, report: CellReport | null): AskedAgain {
  const turns = cell.turns();
  const sessions = Map.groupBy(turns, ({ session }) => session);
  const mostSessions = 1 + Math.min(report?.respawns ?? cell.pair.respawns ?? 0, cell.pair.respawns ?? 0);
  const mostRounds = cell.pair.step === 'repair' ? 2 : 1;
  const beyond = [...sessions.values()].map((asked) => promptsTwiceIn(asked, mostRounds));
  const promptsTwice = beyond.reduce((sum, count) => sum + count, Math.max(0, sessions.size - mostSessions));
  const lost = cell.pair.turnsLost ?? 0;
  const again = [...sessions.values()].flatMap((asked) => answeredAgain(asked)).filter(({ times }) => times - 1 > lost);
  return {
    promptsTwice,
    problems: [
      ...(promptsTwice === 0 ? [] : [`${promptsTwice} prompts were sent twice`]),
      ...again.map(({ place, times }) => `turn ${place} was answered ${times} times`),
    ],
  };
}

function promptsTwiceIn(asked: readonly LedgerEntry[], mostRounds: number): number {
  const rounds = Map.groupBy(asked, ({ round }) => round ?? 0);
  const prompts = new Set([...rounds.values()].map(([first]) => first?.prompt));
  return Math.max(rounds.size - prompts.size, Math.max(0, ...rounds.keys()) - mostRounds, 0);
}

function answeredAgain(asked: readonly LedgerEntry[]): { place: string; times: number }[] {
  const answered = asked.filter(({ outcome }) => outcome === 'finished');
  const places = Map.groupBy(answered, ({ round, turn }) => `${round}.${turn}`);
  return [...places].flatMap(([place, entries]) => (entries.length > 1 ? [{ place, times: entries.length }] : []));
}
