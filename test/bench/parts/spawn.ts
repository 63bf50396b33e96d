import { type BarePlace, bootBareServer } from '../bare-server.ts';
import { endOf } from '../cell-figures.ts';
import type { SpawnFigures } from '../results.ts';
import { type Stage, openBenchFleet } from '../stage.ts';
import { distribution } from '../statistics.ts';
import { cpuOf } from '../usage.ts';
import { request } from './request.ts';

/** Spawns cells one at a time, and boots bare servers between them: what else the machine does meets both. */
export async function runSpawn(stage: Stage, repeats: number): Promise<SpawnFigures> {
  await using bench = await openBenchFleet(stage, { capacity: 1 });
  const { model, repository } = bench.fleet;
  const bare: { wall: number; cpu: number }[] = [];
  const cold: number[] = [];
  for (let index = 0; index < repeats; index += 1) {
    stage.say(`spawn and bare boot, ${index + 1} of ${repeats}`);
    bare.push(await bareBoot({ modelUrl: model.url, worktree: repository.path }, stage.signal));
    const ended = await endOf(bench.fleet, await bench.fleet.start('edit', request('spawn', index)), stage.signal);
    if (ended.times.spawn !== null) cold.push(ended.times.spawn);
  }
  return {
    bare: { wall: distribution(bare.map(({ wall }) => wall)), cpu: distribution(bare.map(({ cpu }) => cpu)) },
    cold: distribution(cold),
  };
}

async function bareBoot(place: BarePlace, signal: AbortSignal): Promise<{ wall: number; cpu: number }> {
  const started = performance.now();
  await using server = await bootBareServer(place, {}, signal);
  const wall = performance.now() - started;
  const cpu = await cpuOf(server.pid);
  return { wall, cpu: cpu === null ? Number.NaN : cpu.own + cpu.children };
}
