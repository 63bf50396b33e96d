import type { Figures, RefusalReason } from './state.ts';

export interface Refusal {
  reason: RefusalReason;
  /** With the figures, in a sentence. */
  detail: string;
}

export interface Rules {
  /** What the operator set aside, which holds for the first cell too; null where the default applies. */
  memoryReserve: number | null;
  diskReserve: number | null;
  /** Cells to fit at once. */
  cells: number;
  now: number;
}

const megabyte = 1024 ** 2;

/** A host without a cell tries one with no more than this: with less no server boots, and no worktree fits. */
const hopeless = { memory: 256 * megabyte, disk: 128 * megabyte };

/** Whether a host has room; null where it has. A host without any cell is judged mildly, or a small machine would never have one. */
export function judge(figures: Figures, rules: Rules): Refusal | null {
  const { places, ports, breaker, disk, memory } = figures;
  const { cells } = rules;
  const first = places.taken + places.claiming === 0 && cells === 1;
  if (breaker.nextTryAt !== null && rules.now < breaker.nextTryAt) {
    return {
      reason: 'breaker',
      detail: `${breaker.state === 'open' ? 'spawns failed one after the other' : 'one spawn is tried'}; the next try is in ${Math.ceil((breaker.nextTryAt - rules.now) / 1000)} s`,
    };
  }
  if (places.taken + places.claiming + cells > places.capacity)
    return { reason: 'full', detail: `${places.taken + places.claiming} of ${places.capacity} places are taken` };
  if (ports.free < ports.wanted + cells) {
    const wanted = ports.wanted === 0 ? '' : `, and ${ports.wanted} are about to be taken`;
    return { reason: 'ports', detail: `${ports.free} ports are free in ${ports.from}-${ports.to}${wanted}` };
  }
  if (!fits(disk, first ? { need: hopeless.disk, reserve: rules.diskReserve ?? 0 } : null, cells))
    return { reason: 'disk', detail: inWords(disk) };
  if (!fits(memory, first ? { need: hopeless.memory, reserve: rules.memoryReserve ?? 0 } : null, cells))
    return { reason: 'memory', detail: inWords(memory) };
  return null;
}

type Store = Figures['disk'];

function fits(store: Store, mild: { need: number; reserve: number } | null, cells: number): boolean {
  const reserve = mild?.reserve ?? store.reserve;
  const need = Math.min(store.need, mild?.need ?? store.need);
  return store.available - reserve - store.growth >= need * cells;
}

function inWords({ available, reserve, growth, need }: Store): string {
  return `${size(available)} are free; ${size(reserve)} are kept free, cells that are here have ${size(growth)} to grow, the next needs about ${size(need)}`;
}

/** `1.5 GiB`, `400 MiB`. */
function size(bytes: number): string {
  return bytes >= 1024 * megabyte
    ? `${(bytes / megabyte / 1024).toFixed(1)} GiB`
    : `${Math.round(bytes / megabyte)} MiB`;
}
