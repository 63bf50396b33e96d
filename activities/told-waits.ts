/** How long a wait lasts before it is told, milliseconds. */
const first = 5_000;
/** How long nothing further is said of waits after one was told, but that it is over, milliseconds. */
const retell = 60_000;

/** Decides which waits are worth telling: those that last, when they begin and when they are over. */
export function createWaits() {
  let since: number | null = null;
  let told: string | null = null;
  /** Kept when that wait is over: one that begins again and again would be told each time, and each time is history. */
  let toldAt = -Infinity;
  return {
    changed(what: string | null, now: number): boolean {
      if (what === null) {
        since = null;
        const was = told !== null;
        told = null;
        return was;
      }
      since ??= now;
      if (now - since < first) return false;
      if (told === what || now - toldAt < retell) return false;
      told = what;
      toldAt = now;
      return true;
    },
    told: (): string | null => told,
  };
}
