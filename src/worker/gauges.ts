import type { MetricMeter } from '@temporalio/common';
import type { CellHost } from '../cell/host.ts';
import { listPorts } from '../cell/ports.ts';
import { hostPaths } from '../cell/paths.ts';
import { marksOf } from '../cell/server-place.ts';
import { waitingWarm } from '../cell/warm-record.ts';
import { isolations } from '../domain/request.ts';
import { memoryByCell } from '../runtimes/cell-memory.ts';
import { type Metric, metrics } from '../telemetry/metrics.ts';
import type { Admission } from './admission/admission.ts';

import { breakerStates, refusalReasons } from './admission/state.ts';

/** What is true of the host just now; called whenever somebody asks for the metrics. */
export type UpdateGauges = () => Promise<void>;

/** Makes the gauges of a host. */
export function createGauges(meter: MetricMeter, host: CellHost, admission: Admission): UpdateGauges {
  const labels = { host: host.hostId };
  const gauge = ({ name, unit, description }: Metric) => meter.createGauge(name, 'int', unit, description);
  const active = gauge(metrics.active);
  const memory = gauge(metrics.memory);
  const held = gauge(metrics.promptsHeld);
  const ports = gauge(metrics.portsInUse);
  const warm = gauge(metrics.warmServers);
  const updateAdmission = createAdmissionGauges(gauge, labels, admission);

  return async () => {
    const { leases } = await host.leases.list();
    for (const runtime of isolations) {
      active.set(leases.filter((lease) => lease.runtime === runtime).length, { ...labels, runtime });
    }
    const ofCells = await marksOf(
      host.stateDirectory,
      leases.map(({ cellId }) => cellId),
    );
    const sizes = await memoryByCell(new Set(ofCells));
    memory.set(
      [...sizes.values()].reduce((sum, size) => sum + size, 0),
      labels,
    );
    for (const { model, waiting } of host.providers.list()) held.set(waiting, { ...labels, model });
    warm.set((await waitingWarm(host.stateDirectory)).length, labels);
    ports.set((await listPorts(hostPaths(host.stateDirectory).ports)).length, labels);
    updateAdmission();
  };
}

/** Whether the host claims cells, why not, and the figures that decide it. */
function createAdmissionGauges(
  gauge: (metric: Metric) => ReturnType<MetricMeter['createGauge']>,
  labels: { host: string },
  admission: Admission,
): () => void {
  const capacity = gauge(metrics.capacity);
  const claiming = gauge(metrics.claiming);
  const refusing = gauge(metrics.refusing);
  const breaker = gauge(metrics.breaker);
  const memoryRoom = gauge(metrics.memoryRoom);
  const memoryNeed = gauge(metrics.memoryNeed);
  const diskRoom = gauge(metrics.diskRoom);
  return () => {
    const state = admission.state();
    const { places, memory, disk } = state;
    capacity.set(places.capacity, labels);
    claiming.set(state.claims ? 1 : 0, labels);
    for (const reason of refusalReasons) refusing.set(state.reason === reason ? 1 : 0, { ...labels, reason });
    for (const name of breakerStates) breaker.set(state.breaker.state === name ? 1 : 0, { ...labels, state: name });
    memoryRoom.set(Math.max(0, memory.available - memory.reserve - memory.growth), labels);
    memoryNeed.set(memory.need, labels);
    diskRoom.set(Math.max(0, disk.available - disk.reserve - disk.growth), labels);
  };
}
