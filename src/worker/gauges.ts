import { readFile } from 'node:fs/promises';
import type { MetricMeter } from '@temporalio/common';
import type { CellHost } from '../cell/host.ts';
import { listPorts } from '../cell/ports.ts';
import { hostPaths } from '../cell/paths.ts';
import { isolations } from '../domain/request.ts';
import { scanProcesses } from '../runtimes/processes.ts';
import { type Metric, metrics } from '../telemetry/metrics.ts';

/** What is true of the host just now; called whenever somebody asks for the metrics. */
export type UpdateGauges = () => Promise<void>;

/** Makes the gauges of a host. */
export function createGauges(meter: MetricMeter, host: CellHost, capacity: number): UpdateGauges {
  const gauge = ({ name, unit, description }: Metric) => meter.createGauge(name, 'int', unit, description);
  const active = gauge(metrics.active);
  const memory = gauge(metrics.memory);
  const ports = gauge(metrics.portsInUse);
  const labels = { host: host.hostId };
  const capacityGauge = gauge(metrics.capacity);

  return async () => {
    const { leases } = await host.leases.list();
    capacityGauge.set(capacity, labels);
    for (const runtime of isolations) {
      active.set(leases.filter((lease) => lease.runtime === runtime).length, { ...labels, runtime });
    }
    memory.set(await memoryOf(new Set(leases.map(({ cellId }) => cellId))), labels);
    ports.set((await listPorts(hostPaths(host.stateDirectory).ports)).length, labels);
  };
}

/** Proportional memory of all processes of the cells, bytes: shared pages count once. */
async function memoryOf(cellIds: ReadonlySet<string>): Promise<number> {
  const own = (await scanProcesses()).filter(({ marks }) => marks.some(({ cellId }) => cellIds.has(cellId)));
  const sizes = await Promise.all(own.map(({ pid }) => proportionalSize(pid)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function proportionalSize(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}
