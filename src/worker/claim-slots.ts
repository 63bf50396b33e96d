import type { ActivitySlotInfo, CustomSlotSupplier } from '@temporalio/worker';
import type { Admission } from './admission/admission.ts';

/**
 * A host polls for the next claim only while it has room, so waiting cells wait in Temporal's queue, ordered by
 * its priority and fairness, and not in the memory of a worker.
 */
export function claimSlots(admission: Admission): CustomSlotSupplier<ActivitySlotInfo> {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    type: 'custom',
    reserveSlot(_context, signal) {
      // One after the other: two that look at the same free place would both take it.
      const place = turn
        .then(() => admission.keepPlace(signal))
        .then(() => ({}))
        .catch((error: unknown) => {
          // Anything but the signal's own reason is an error to the SDK, which it logs.
          signal.throwIfAborted();
          throw error;
        });
      turn = place.catch(() => undefined);
      return place;
    },
    tryReserveSlot: () => null,
    markSlotUsed: () => admission.placeClaimed(),
    releaseSlot: ({ slotInfo }) => admission.placeReleased(slotInfo !== undefined),
  };
}
