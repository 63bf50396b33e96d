import type { CellRuntime } from './runtime.ts';
import { unavailableRuntime } from './unavailable.ts';

/** Cells in namespaces of their own. This version of agent-cells has it on no host. */
export function createBubblewrapRuntime(): CellRuntime {
  return unavailableRuntime('bubblewrap', {
    why: 'not available on this host: this version of agent-cells cannot run cells in bubblewrap',
    try: 'leave `runtime` out, or ask for `process` where the agents are trusted',
  });
}
