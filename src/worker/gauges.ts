import type { MetricMeter } from '@temporalio/common';
import type { CellHost } from '../cell/host.ts';
import { listPorts } from '../cell/ports.ts';
import { hostPaths } from '../cell/paths.ts';
import { marksOf } from '../cell/server-place.ts';
import { waitingWarm } from '../cell/warm-record.ts';
import { isolations } from '../domain/request.ts';
import { memoryByCell } from '../runtimes/cell-memory.ts';
import { type Metric, metrics } from '../telemetry/metrics.ts';

/** What is true of the host just now; called whenever somebody asks for the metrics. */
export type UpdateGauges = () => Promise<void>;

/** Makes the gauges of a host. */
export function createGauges(meter: MetricMeter, host: CellHost, capacity: number): UpdateGauges {
  const gauge = ({ name, unit, description }: Metric) => meter.createGauge(name, 'int', unit, description);
  const active = gauge(metrics.active);
  const memory = gauge(metrics.memory);
  const held = gauge(metrics.promptsHeld);
  const ports = gauge(metrics.portsInUse);
  const warm = gauge(metrics.warmServers);
  const labels = { host: host.hostId };
  const capacityGauge = gauge(metrics.capacity);

  return async () => {
    const { leases } = await host.leases.list();
    capacityGauge.set(capacity, labels);
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
  };
}
