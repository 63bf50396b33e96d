import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type * as v from 'valibot';
import { type Line, readJournal } from './journal.ts';

/** How often the file is looked at, milliseconds. */
const interval = 250;
/** A line is written at most this long after the time that it names, milliseconds. */
const slack = 10_000;

/** Every line since a time, milliseconds since the epoch, and then those that are added, until the signal aborts. */
export async function* followJournal<Entry extends Line>(
  file: string,
  schema: v.GenericSchema<unknown, Entry>,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<Entry, void> {
  let seen = new Map<string, number>();
  let stamp: string | null = null;
  let from = since;
  for (;;) {
    const isLast = signal.aborted;
    const now = await stampOf(file);
    if (now !== stamp) {
      stamp = now;
      const entries = await readJournal(file, schema, from);
      const found = new Map<string, number>();
      for (const entry of entries) {
        const text = JSON.stringify(entry);
        const count = (found.get(text) ?? 0) + 1;
        found.set(text, count);
        if (count > (seen.get(text) ?? 0)) yield entry;
      }
      seen = found;
      from = Math.max(since, (entries.at(-1)?.at ?? since) - slack);
    }
    if (isLast) return;
    await delay(interval, undefined, { signal }).catch(() => undefined);
  }
}

/** Another whenever something was written, or the file was set aside. */
async function stampOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => null);
  return found === null ? '' : `${found.ino} ${found.size} ${found.mtimeMs}`;
}
