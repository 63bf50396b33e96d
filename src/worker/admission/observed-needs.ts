import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Lease } from '../../cell/lease.ts';
import { isolations } from '../../domain/request.ts';
import { replaceFile } from '../../files/replace-file.ts';

/** What cells of this host were seen to need. Kept in the state directory, so that a restart knows it. Sizes are bytes. */
export interface ObservedNeeds {
  /** Takes in what the cells hold just now. A cell that is gone has shown its peak, which is remembered. */
  observe(leases: readonly Lease[], memory: ReadonlyMap<string, number>): Promise<void>;
  observeDisk(bytes: number): void;
  /** What a cell is to be expected to grow to. */
  memoryOf(lease: Kind): number;
  /** What a cell holds; 0 before its first look. */
  heldBy(cellId: string): number;
  /** What the next cell is to be expected to need: the most of all kinds that ran here lately, for a claim does not say its kind before it is taken. */
  nextMemory(): number;
  nextDisk(): number;
}

type Kind = Pick<Lease, 'runtime' | 'agentType'>;

const megabyte = 1024 ** 2;

/** Before anything was observed: an OpenCode server after its first prompts, and a small checkout; `docs/operations.md` says how they were measured. */
export const firstGuess = { memory: 400 * megabyte, disk: 256 * megabyte };

/** So many of the latest cells count: what was long ago, or runs here no more, is forgotten. */
const remembered = 50;
/** With fewer of a kind, the guess is not gone below: cells that ended while they booted have shown little. */
const enough = 5;

const fileSchema = v.object({
  version: v.literal(1),
  peaks: v.array(v.object({ runtime: v.picklist(isolations), agentType: v.string(), bytes: v.number() })),
  disk: v.array(v.number()),
});

/** Reads what earlier workers observed; a file that cannot be read counts as none. */
export async function loadObservedNeeds(stateDirectory: string): Promise<ObservedNeeds> {
  const file = join(stateDirectory, 'observed-needs.json');
  const text = await readFile(file, 'utf8').catch(() => '');
  const known = v.safeParse(v.pipe(v.string(), v.parseJson(), fileSchema), text);
  let peaks = known.success ? known.output.peaks : [];
  let disk = known.success ? known.output.disk : [];
  const running = new Map<string, Kind & { held: number; peak: number }>();

  const expected = ({ runtime, agentType }: Kind) => {
    const own = peaks.filter((peak) => peak.runtime === runtime && peak.agentType === agentType);
    return usual(
      own.map(({ bytes }) => bytes),
      firstGuess.memory,
    );
  };

  return {
    async observe(leases, memory) {
      for (const { cellId, runtime, agentType } of leases) {
        const held = memory.get(cellId) ?? 0;
        const peak = Math.max(held, running.get(cellId)?.peak ?? 0);
        running.set(cellId, { runtime, agentType, held, peak });
      }
      const living = new Set(leases.map(({ cellId }) => cellId));
      const gone = [...running].filter(([cellId]) => !living.has(cellId));
      for (const [cellId] of gone) running.delete(cellId);
      const seen = gone.flatMap(([, { runtime, agentType, peak }]) =>
        peak === 0 ? [] : [{ runtime, agentType, bytes: peak }],
      );
      if (seen.length === 0) return;
      peaks = [...peaks, ...seen].slice(-remembered);
      await replaceFile(file, `${JSON.stringify({ version: 1, peaks, disk })}\n`, { mode: 0o600, sync: false });
    },
    observeDisk: (bytes) => void (disk = [...disk, bytes].slice(-remembered)),
    memoryOf: expected,
    heldBy: (cellId) => running.get(cellId)?.held ?? 0,
    nextMemory: () => Math.max(...(peaks.length === 0 ? [firstGuess.memory] : peaks.map(expected))),
    nextDisk: () => usual(disk, firstGuess.disk),
  };
}

/** What nine of ten needed at most. */
function usual(sizes: readonly number[], guess: number): number {
  const sorted = sizes.toSorted((one, other) => one - other);
  const most = sorted[Math.ceil(sorted.length * 0.9) - 1] ?? guess;
  return sorted.length < enough ? Math.max(most, guess) : most;
}
