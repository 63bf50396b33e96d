import { setTimeout as sleep } from 'node:timers/promises';

/** Models that a provider asked to be left alone for a while: one cool-down for all cells. */
export interface Cooldowns {
  /** Nobody asks the model for so long, milliseconds. One that is longer already stays. */
  begin(model: string, milliseconds: number): void;
  /** When the cool-down of a model ends, milliseconds since the epoch; null when it has none. */
  until(model: string): number | null;
  /**
   * Waits for the cool-down that the model has: a little longer for each, so that not all come at once. `waiting` hears until when.
   * Another one may have begun meanwhile.
   */
  pass(model: string, waiting: (until: number) => void, signal: AbortSignal): Promise<void>;
}

/** Those who waited come back within a tenth of the cool-down, and within these bounds, milliseconds. */
const spread = { least: 250, most: 10_000 };

export function createCooldowns(random: () => number = Math.random): Cooldowns {
  const ends = new Map<string, { at: number; length: number }>();
  const current = (model: string) => {
    const end = ends.get(model);
    if (end !== undefined && end.at <= Date.now()) ends.delete(model);
    return ends.get(model);
  };
  return {
    begin(model, milliseconds) {
      const at = Date.now() + milliseconds;
      if (at > (current(model)?.at ?? 0)) ends.set(model, { at, length: milliseconds });
    },
    until: (model) => current(model)?.at ?? null,
    async pass(model, waiting, signal) {
      const end = current(model);
      if (end === undefined) return;
      const window = Math.min(Math.max(end.length / 10, spread.least), spread.most);
      const at = end.at + random() * window;
      waiting(Math.round(at));
      await sleep(Math.max(0, at - Date.now()) + 1, undefined, { signal });
    },
  };
}

/** What a provider wants for longer is taken for this: a day, milliseconds. No timer and no date takes any number. */
const longest = 86_400_000;

/** How long a provider wants to be left alone, from its answer, milliseconds, a day at most; null when it does not say. */
export function retryAfterOf(headers: Readonly<Record<string, string | string[] | undefined>>): number | null {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (exact >= 0) return Math.min(exact, longest);
  const text = headers['retry-after'];
  if (typeof text !== 'string' || text.trim() === '') return null;
  const seconds = Number(text);
  const milliseconds = Number.isNaN(seconds) ? Date.parse(text) - Date.now() : seconds * 1000;
  return Number.isNaN(milliseconds) ? null : Math.min(Math.max(0, milliseconds), longest);
}
