import type { Client } from '@temporalio/client';
import type { MetricCounter } from '@temporalio/common';
import type { CellHost } from '../cell/host.ts';
import type { Lease } from '../cell/lease.ts';
import { marksOf } from '../cell/server-place.ts';
import { type Look, cpuPercent, memoryLimitOf } from '../cell/use-of-cell.ts';
import { type Sample, openSamples } from '../journal/samples.ts';
import { type MemoryAlert, createMemoryAlerts } from './memory-alerts.ts';
import { repeat } from './repeat.ts';

/** How often every cell is looked at, milliseconds. */
const interval = 10_000;

/** Writes down every few seconds what each cell uses, and says so when one comes near to its memory limit, until it is disposed. */
export function startSampling(
  host: CellHost,
  client: Client,
  { alerts, intervalMs = interval }: { alerts: MetricCounter; intervalMs?: number },
): AsyncDisposable {
  const samples = openSamples(host.stateDirectory);
  const memory = createMemoryAlerts();
  const looks = new Map<string, Look>();

  const tell = async (lease: Lease, sample: Sample, alert: MemoryAlert): Promise<void> => {
    const { cellId, owner, runtime } = lease;
    const { memory: used, memoryLimit: limit } = sample;
    if (alert.above) alerts.add(1, { host: host.hostId, runtime });
    host.log[alert.above ? 'warn' : 'info'](
      { cellId, memory: used, limit },
      alert.text ?? 'the cell is well below its memory limit again',
    );
    await host.audit.record({ event: 'alert', what: 'memory', cellId, memory: used, limit, above: alert.above });
    const handle = client.workflow.getHandle(owner.workflowId, owner.runId);
    await handle.signal('cellAlert', { cellId, memory: alert.text });
  };
  const look = async () => {
    const { leases } = await host.leases.list();
    const cellIds = leases.map(({ cellId }) => cellId);
    const marks = await marksOf(host.stateDirectory, cellIds);
    const taken: Sample[] = [];
    for (const [index, lease] of leases.entries()) {
      const stats = await host.runtimes[lease.runtime].runtime.stats(marks[index] ?? lease.cellId);
      if (stats === null) continue;
      const { cellId, runtime, owner } = lease;
      const now = { at: Date.now(), cpuMs: stats.cpuMs };
      const sample: Sample = {
        at: now.at,
        cellId,
        workflowId: owner.workflowId,
        runtime,
        memory: stats.memory,
        memoryLimit: memoryLimitOf(stats, lease, host),
        cpuPercent: cpuPercent(looks.get(cellId), now),
        processes: stats.processes,
      };
      looks.set(cellId, now);
      taken.push(sample);
      const alert = memory.look(cellId, sample.memory, sample.memoryLimit);
      if (alert !== null)
        await tell(lease, sample, alert).catch((error: unknown) =>
          host.log.debug({ cellId, error }, 'the run was not told of its memory'),
        );
    }
    await samples.append(taken);
    const living = new Set(cellIds);
    memory.forget(living);
    for (const cellId of looks.keys()) if (!living.has(cellId)) looks.delete(cellId);
  };
  return repeat(
    () => look().catch((error: unknown) => host.log.warn({ error }, 'could not look at what cells use')),
    intervalMs,
  );
}
