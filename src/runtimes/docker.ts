import type { CellRuntime } from './runtime.ts';
import { unavailableRuntime } from './unavailable.ts';

/** Cells in containers. This version of agent-cells has it on no host. */
export function createDockerRuntime(): CellRuntime {
  return unavailableRuntime('docker', {
    why: 'not available on this host: this version of agent-cells cannot run cells in Docker',
    try: 'leave `runtime` out, or ask for `process` where the agents are trusted',
  });
}
