import { currentBootId, isAlive } from '../runtimes/processes.ts';
import type { CellRuntime, ExecResult, RuntimeHandle, RuntimeStatus } from '../runtimes/runtime.ts';
import type { SupervisorClient } from './client.ts';

/** The same runtime, with the supervisor as the parent of its processes: they outlive the worker, and end with the supervisor. */
export function supervised(
  runtime: CellRuntime,
  supervisor: Pick<SupervisorClient, 'call' | 'callUntil'>,
): CellRuntime {
  // A supervisor of a version that knew one runtime takes no word for it.
  const by = runtime.name === 'process' ? {} : { runtime: runtime.name };
  return {
    name: runtime.name,
    confines: runtime.confines,
    unsupported: runtime.unsupported,
    probe: () => runtime.probe(),
    start: (spec, signal) => supervisor.callUntil<RuntimeHandle>('/process', { ...by, ...spec }, signal),
    exec: (command, signal) => supervisor.callUntil<ExecResult>('/command', { ...by, ...command }, signal),
    async inspect(handle) {
      // Asked twice a second for every cell: whether it lives can be seen from here.
      if (handle.bootId === currentBootId() && isAlive(handle)) return { kind: 'running' };
      return supervisor.call<RuntimeStatus>('/inspect', handle);
    },
    stats: (cellId) => runtime.stats(cellId),
    async holdPort(cellId, port) {
      await supervisor.call('/port', { ...by, cellId, port });
    },
    async relayPort(cellId, port) {
      await supervisor.call('/relay', { ...by, cellId, port });
    },
    pause: (cellId) => runtime.pause(cellId),
    destroy: async (cellId) => (await supervisor.call<{ ended: number }>('/destroy', { ...by, cellId })).ended,
    list: () => runtime.list(),
    listEmpty: () => runtime.listEmpty(),
  };
}
