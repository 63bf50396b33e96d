import { inject } from 'vitest';
import { type Fleet, type FleetOptions, bringUpFleet } from './bring-up-fleet.ts';

export type { Fleet } from './bring-up-fleet.ts';

/** Brings up a worker on the Temporal server of the test run, unless another is named. Disposing it cancels what still runs and ends the worker. */
export function startFleet(options: Partial<FleetOptions> = {}): Promise<Fleet> {
  return bringUpFleet({ ...options, temporalAddress: options.temporalAddress ?? inject('temporalAddress') });
}
