import { setTimeout as delay } from 'node:timers/promises';
import { cellNameOf } from '../../src/cli/cell-name.ts';
import type { Progress, ProgressRow } from '../../src/cli/progress.ts';
import { durationWord } from '../../src/cli/words.ts';
import type { Lease } from '../../src/cell/lease.ts';
import { createLeaseStore } from '../../src/cell/leases.ts';
import { isAlive } from '../../src/runtimes/processes.ts';
import { choose, type Random, shuffled } from './random.ts';
import type { Stage } from './stage.ts';

/** Something that was killed, and what became of it. */
export interface Strike {
  kind: 'worker' | 'server';
  /** The cell of the server; null for a worker. */
  cell: string | null;
  pid: number;
  /** Until the next worker served, or the cell had its next server; null when the cell ended without one. */
  recoveredMs: number | null;
}

/** What is killed, in an order that the seed chooses. */
export const plannedStrikes = ['worker', 'worker', 'server', 'server', 'server', 'server', 'server'] as const;

export interface ChaosOptions {
  random: Random;
  progress: Progress;
  /** What is known of each cell, by name. */
  rows: ReadonlyMap<string, ProgressRow>;
  /** Aborts when all cells have ended. */
  over: AbortSignal;
}

/** Between two looks for somebody to kill, milliseconds. */
const lookEvery = 200;
const pause = { least: 1_000, most: 5_000 };

/** Kills the worker twice and a server five times, each while agents are at work, and waits until all of it is mended or over. */
export async function wreak(stage: Stage, { random, progress, rows, over }: ChaosOptions): Promise<Strike[]> {
  const strikes: Promise<Strike>[] = [];
  const struck = new Set<string>();
  try {
    for (const kind of shuffled(random, plannedStrikes)) {
      await delay(pause.least + random() * (pause.most - pause.least), undefined, { signal: over });
      const victims = await someAtWork(stage, rows, over);
      if (kind === 'worker') {
        strikes.push(Promise.resolve(await killWorker(stage, progress, victims.length)));
      } else {
        // First those that nobody has struck yet.
        const fresh = victims.filter(({ name }) => !struck.has(name));
        const victim = choose(random, fresh.length > 0 ? fresh : victims);
        struck.add(victim.name);
        process.kill(victim.server.pid, 'SIGKILL');
        strikes.push(killServer(stage, progress, victim, over));
      }
    }
  } catch (error) {
    if (!over.aborted) throw error;
  }
  return await Promise.all(strikes);
}

interface Victim {
  name: string;
  server: NonNullable<Lease['server']>;
}

/** Waits until there are cells whose agents are at work, on living servers. */
async function someAtWork({ stateDirectory }: Stage, rows: ChaosOptions['rows'], over: AbortSignal): Promise<Victim[]> {
  for (;;) {
    const { leases } = await createLeaseStore(stateDirectory).list();
    const atWork = leases.flatMap(({ owner, server }): Victim[] => {
      const name = cellNameOf(owner.workflowId);
      return rows.get(name)?.lifecycle === 'processing' && server !== null && isAlive(server) ? [{ name, server }] : [];
    });
    if (atWork.length > 0) return atWork.toSorted((one, other) => one.name.localeCompare(other.name));
    await delay(lookEvery, undefined, { signal: over });
  }
}

async function killWorker({ worker }: Stage, progress: Progress, agents: number): Promise<Strike> {
  const killedAt = Date.now();
  const pid = await worker.kill();
  progress.say(
    `✗ killed the worker (process ${pid}); ${agents} ${agents === 1 ? 'agent goes' : 'agents go'} on without it`,
  );
  await worker.restart();
  const recoveredMs = Date.now() - killedAt;
  progress.say(`✓ the next worker (process ${worker.pid()}) serves, ${durationWord(recoveredMs)} later`);
  return { kind: 'worker', cell: null, pid, recoveredMs };
}

async function killServer(
  { stateDirectory }: Stage,
  progress: Progress,
  { name, server }: Victim,
  over: AbortSignal,
): Promise<Strike> {
  const killedAt = Date.now();
  progress.say(`✗ killed the server of ${name} (process ${server.pid})`);
  const next = await nextServer(stateDirectory, server, over);
  const recoveredMs = next === null ? null : Date.now() - killedAt;
  progress.say(
    next === null || recoveredMs === null
      ? `  ${name} ended without another server`
      : `✓ ${name} has its next server (process ${next}), ${durationWord(recoveredMs)} later`,
  );
  return { kind: 'server', cell: name, pid: server.pid, recoveredMs };
}

/** Null when the cell, or all of them, came to an end first. */
async function nextServer(stateDirectory: string, killed: Victim['server'], over: AbortSignal): Promise<number | null> {
  while (!over.aborted) {
    const found = await createLeaseStore(stateDirectory).read(killed.cellId);
    if (found.kind !== 'lease') return null;
    const { server } = found.lease;
    if (server !== null && server.pid !== killed.pid) return server.pid;
    await delay(lookEvery, undefined, { signal: over }).catch(() => undefined);
  }
  return null;
}
