import * as v from 'valibot';
import type { RuntimeStats } from '../runtime.ts';
import { unlessAbsent, type Engine } from './client.ts';
import { containersOf } from './containers.ts';

/** What of the engine's figures counts. A container that is just ending has none of them. */
const figuresSchema = v.object({
  memory_stats: v.object({
    usage: v.optional(v.number(), 0),
    limit: v.optional(v.number()),
    stats: v.optional(v.record(v.string(), v.number()), {}),
  }),
  cpu_stats: v.object({ cpu_usage: v.object({ total_usage: v.number() }) }),
  pids_stats: v.object({ current: v.optional(v.number(), 0) }),
});

/** What the containers of a cell use, as the kernel counts it for their limits; null when none runs. */
export async function containerStats(
  engine: Engine | null,
  owner: string,
  cellId: string,
): Promise<RuntimeStats | null> {
  if (engine === null) return null;
  const running = (await containersOf(engine, { owner, cellId })).filter(({ State }) => State === 'running');
  const asked = await Promise.all(running.map(({ Id }) => statsOf(engine, Id)));
  const found = asked.filter((one) => one !== null);
  const [first] = found;
  if (first === undefined) return null;
  return found.reduce((sum, one) => ({
    memory: sum.memory + one.memory,
    // Each container has the limits of the cell.
    memoryLimit: sum.memoryLimit ?? one.memoryLimit,
    cpuMs: sum.cpuMs + one.cpuMs,
    processes: sum.processes + one.processes,
  }));
}

async function statsOf(engine: Engine, id: string): Promise<RuntimeStats | null> {
  const container = engine.getContainer(id);
  const [stats, about] = await Promise.all([
    container.stats({ stream: false, 'one-shot': true }).catch(unlessAbsent),
    container.inspect().catch(unlessAbsent),
  ]);
  const figures = v.safeParse(figuresSchema, stats);
  if (about === null || !figures.success) return null;
  const { memory_stats: memory, cpu_stats: cpu, pids_stats: pids } = figures.output;
  // What the kernel can drop at once is not used: version 1 and version 2 of control groups name it differently.
  const droppable = memory.stats['total_inactive_file'] ?? memory.stats['inactive_file'] ?? 0;
  return {
    memory: Math.max(0, memory.usage - droppable),
    memoryLimit: about.HostConfig.Memory ? about.HostConfig.Memory : null,
    cpuMs: Math.round(cpu.cpu_usage.total_usage / 1e6),
    processes: pids.current,
  };
}
