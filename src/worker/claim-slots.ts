import type { ActivitySlotInfo, CustomSlotSupplier } from '@temporalio/worker';
import type { LeaseStore } from '../cell/leases.ts';

/**
 * A host polls for the next claim only while it has a free place, so waiting cells wait in Temporal's queue, ordered by
 * its priority and fairness, and not in the memory of a worker.
 *
 * Taken places are the leases on disk, and not a number that drifts; a permit that was given and is not yet a lease
 * counts beside them. A permit comes back when its poll ended unused, or when its claim is over: then the lease stands.
 */
export function claimSlots(leases: LeaseStore, capacity: number): CustomSlotSupplier<ActivitySlotInfo> {
  let permits = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const takePlace = async (signal: AbortSignal) => {
    await leases.waitForCount((taken) => taken + permits < capacity, signal);
    permits += 1;
    return {};
  };

  return {
    type: 'custom',
    reserveSlot(_context, signal) {
      // One after the other: two that look at the same free place would both take it.
      const place = turn
        .then(() => takePlace(signal))
        .catch((error: unknown) => {
          // Anything but the signal's own reason is an error to the SDK, which it logs.
          signal.throwIfAborted();
          throw error;
        });
      turn = place.catch(() => undefined);
      return place;
    },
    tryReserveSlot: () => null,
    markSlotUsed: () => undefined,
    releaseSlot: () => void (permits -= 1),
  };
}
