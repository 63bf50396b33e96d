/** Parts of the limit at which an alert begins, and below which it is over. */
const part = { begins: 0.9, ends: 0.8 };

/** A cell came near to its memory limit, or is no longer. */
export interface MemoryAlert {
  above: boolean;
  /** What is true now, in a sentence; null when the alert is over. */
  text: string | null;
}

/** Tells when cells come near to their memory limit and when they have left it, and nothing in between. */
export function createMemoryAlerts(): {
  /** Null where nothing has changed. */
  look(cellId: string, memory: number, limit: number): MemoryAlert | null;
  forget(keep: ReadonlySet<string>): void;
} {
  const above = new Set<string>();
  return {
    look(cellId, memory, limit) {
      if (!above.has(cellId) && memory >= limit * part.begins) {
        above.add(cellId);
        return { above: true, text: `the cell uses ${mebibytes(memory)} of ${mebibytes(limit)} MiB of memory` };
      }
      if (above.has(cellId) && memory < limit * part.ends) {
        above.delete(cellId);
        return { above: false, text: null };
      }
      return null;
    },
    forget(keep) {
      for (const cellId of above) if (!keep.has(cellId)) above.delete(cellId);
    },
  };
}

const mebibytes = (bytes: number): number => Math.round(bytes / 1024 ** 2);
