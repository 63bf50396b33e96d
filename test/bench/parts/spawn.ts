import waitFor from 'p-wait-for';
import { listWarm } from '../../../src/cell/warm-record.ts';
import type { IsolationName } from '../../../src/domain/request.ts';
import { bootBareServer } from '../bare-server.ts';
import { endOf } from '../cell-figures.ts';
import type { SpawnFigures, SpawnedCells } from '../results.ts';
import { type BenchFleet, type Stage, openBenchFleet } from '../stage.ts';
import { distribution } from '../statistics.ts';
import { cpuOf } from '../usage.ts';
import { request } from './request.ts';
import { probeOf } from './runtimes.ts';

/** Boots bare servers, and spawns cells without and with a server that was booted ahead, one at a time. */
export async function runSpawn(stage: Stage, repeats: number): Promise<SpawnFigures> {
  await using bench = await openBenchFleet(stage, { capacity: 1 });
  const bare: { wall: number; cpu: number }[] = [];
  const cold: Times[] = [];
  for (let index = 0; index < repeats; index += 1) {
    stage.say(`bare boot and cold spawn, ${index + 1} of ${repeats}`);
    bare.push(await bareBoot(bench, stage.signal));
    cold.push(await oneCell(bench, index, stage.signal));
  }
  return {
    bare: { wall: distribution(bare.map(({ wall }) => wall)), cpu: distribution(bare.map(({ cpu }) => cpu)) },
    cold: spawned(cold),
    warm: spawned(await warmCells('process', stage, repeats)),
    confined: (await probeOf('bubblewrap')).usable ? spawned(await warmCells('bubblewrap', stage, repeats)) : null,
  };
}

async function warmCells(runtime: IsolationName, stage: Stage, repeats: number): Promise<Times[]> {
  await using bench = await openBenchFleet(stage, { capacity: 1, warm: 1, env: { CELLS_RUNTIME: runtime } });
  const warm: Times[] = [];
  for (let index = 0; index < repeats; index += 1) {
    stage.say(`warm spawn in ${runtime}, ${index + 1} of ${repeats}`);
    const waits = async () => (await listWarm(bench.fleet.stateDirectory)).records.some(({ record }) => record?.ready);
    await waitFor(waits, { interval: 200, signal: stage.signal });
    warm.push(await oneCell(bench, index, stage.signal));
  }
  return warm;
}

/** Milliseconds. */
interface Times {
  spawn: number;
  teardown: number;
}

async function oneCell({ fleet }: BenchFleet, index: number, signal: AbortSignal): Promise<Times> {
  const { name, times } = await endOf(fleet, await fleet.start('edit', request('spawn', index)), signal);
  const { spawn, teardown } = times;
  if (spawn === null || teardown === null) throw new Error(`${name} was never spawned`);
  return { spawn, teardown };
}

async function bareBoot({ fleet }: BenchFleet, signal: AbortSignal): Promise<{ wall: number; cpu: number }> {
  await using server = await bootBareServer({ modelUrl: fleet.model.url, worktree: fleet.repository.path }, {}, signal);
  const cpu = await cpuOf(server.pid);
  return { wall: server.bootMs, cpu: cpu === null ? Number.NaN : cpu.own + cpu.children };
}

function spawned(times: readonly Times[]): SpawnedCells {
  return {
    spawn: distribution(times.map(({ spawn }) => spawn)),
    teardown: distribution(times.map(({ teardown }) => teardown)),
  };
}
