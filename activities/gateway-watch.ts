import type { CellHost } from '../src/cell/host.ts';
import type { CellAccount } from '../src/gateway/gateway.ts';

/** What the gateway says of a cell, asked for every so often. */
export interface GatewayWatch {
  /** Asks when it is time. Called twice a second. */
  ask(): Promise<void>;
  /** What was last heard; null where the cell has no door. */
  account(): CellAccount | null;
}

/** Every so many calls the gateway is asked. */
const askEvery = 6;

export function watchAccount({ gateway }: CellHost, cellId: string): GatewayWatch {
  let calls = 0;
  let known: CellAccount | null = null;
  let hasDoor = gateway !== null;
  return {
    async ask() {
      calls += 1;
      if (gateway === null || !hasDoor || calls % askEvery !== 1) return;
      try {
        known = await gateway.account(cellId);
        // It is opened before the server works for its cell, or not at all.
        hasDoor = known !== null;
      } catch {
        // A supervisor that has gone takes the server of the cell along, and that is noticed.
      }
    },
    account: () => known,
  };
}
