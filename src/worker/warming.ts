import { setTimeout as sleep } from 'node:timers/promises';
import type { CellHost } from '../cell/host.ts';
import { type Room, tendPool } from '../cell/warm-pool.ts';
import { waitingWarm } from '../cell/warm-record.ts';
import { endWarm } from '../cell/warm-server.ts';
import type { Admission } from './admission/admission.ts';
import type { RefusalReason } from './admission/state.ts';

/** How often the pool is looked at, and how often after a boot that failed, milliseconds. */
const interval = 1_000;
const afterFailure = 30_000;

/**
 * Tends the warm servers of a host until it is disposed. Then they are ended, unless cells live on: for these the next worker comes,
 * and finds them.
 */
export function startWarming(host: CellHost, room: Room): AsyncDisposable {
  const stopped = new AbortController();
  const tending = host.warmServers === 0 ? Promise.resolve() : tend(host, room, stopped.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await tending;
      if ((await host.leases.count()) > 0) return;
      for (const id of await waitingWarm(host.stateDirectory)) await endWarm(host, id);
    },
  };
}

async function tend(host: CellHost, room: Room, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let pause = interval;
    const shortage = new AbortController();
    const watching = setInterval(() => void abortWhenShort(room, shortage), interval);
    try {
      await tendPool(host, room, AbortSignal.any([signal, shortage.signal]));
    } catch (error) {
      if (!signal.aborted && !shortage.signal.aborted) {
        host.log.warn({ error }, 'a server could not be booted ahead; it is tried again');
        pause = afterFailure;
      }
    } finally {
      clearInterval(watching);
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

/** A boot that has begun is given up as well. */
async function abortWhenShort(room: Room, shortage: AbortController): Promise<void> {
  if (!(await room.mayKeep().catch(() => true))) shortage.abort();
}

/** Of what the host needs for its cells, and for one that may come, nothing is kept from them. */
export const roomBeside = (admission: Admission): Room => ({
  mayKeep: () => Promise.resolve(!shortOf.has(admission.state().reason ?? '')),
  mayAdd: admission.hasSpareRoom,
});

/** What a warm server holds as well. */
const shortOf = new Set<string>(['memory', 'disk', 'ports'] satisfies RefusalReason[]);
