import { existsSync } from 'node:fs';
import { join } from 'node:path';
import waitFor from 'p-wait-for';
import which from 'which';
import { cellPaths } from '../../../src/cell/paths.ts';
import { type IsolationName, isolations } from '../../../src/domain/request.ts';
import { buildBaseImage } from '../../../src/runtimes/docker/image.ts';
import { findRoots } from '../../../src/runtimes/found-roots.ts';
import { makeRuntimes } from '../../../src/runtimes/index.ts';
import type { Fleet } from '../../support/bring-up-fleet.ts';
import { startDockerEngine } from '../../support/docker-engine.ts';
import { leasesIn } from '../../support/host-state.ts';
import { settled, takeAccounts } from '../accounts.ts';
import { type EndedCell, endOf, runFigures } from '../cell-figures.ts';
import { type CountedGroup, countedGroup } from '../counted-group.ts';
import { type Gate, closedGate } from '../gate.ts';
import type { RuntimeFigures, RuntimeRun, RuntimesFigures } from '../results.ts';
import { type BenchFleet, type Stage, openBenchFleet } from '../stage.ts';
import { sum } from '../statistics.ts';
import { memoryOfCells } from '../watch-memory.ts';
import { request } from './request.ts';

/** Runs cells one after the other, in each runtime that can be had here. */
export async function runRuntimes(stage: Stage, repeats: number): Promise<RuntimesFigures> {
  const figures: Partial<RuntimesFigures> = {};
  for (const name of isolations) figures[name] = await inRuntime(name, stage, repeats);
  // `isolations` are all of the names.
  return figures as RuntimesFigures;
}

/** With a worker of its own, and nothing booted ahead. */
async function inRuntime(name: IsolationName, stage: Stage, repeats: number): Promise<RuntimeFigures> {
  await using stack = new AsyncDisposableStack();
  const group = await countedGroup();
  if (group !== null) stack.use(group);
  const engine = name === 'docker' ? await ownEngine(stack, group, stage) : { host: null };
  if ('missing' in engine) return { runs: [], ...engine };
  const probe = await probeOf(name, engine.host);
  if (!probe.usable) return { runs: [], missing: probe.why };
  const env = {
    CELLS_RUNTIME: name,
    ...(group === null ? {} : { CELLS_CGROUP: group.cells }),
    ...(engine.host === null ? {} : { DOCKER_HOST: engine.host }),
  };
  const bench = stack.use(await openBenchFleet(stage, { capacity: 1, env }));
  const runs: RuntimeRun[] = [];
  for (let index = 0; index < repeats; index += 1) {
    stage.say(`in ${name}, ${index + 1} of ${repeats}`);
    runs.push(await oneCell({ bench, group, name, index }, stage.signal));
  }
  return { runs, missing: null };
}

/** What containers the host has in an engine is nobody's business here, and would be in the figures: so it is always one of its own. */
async function ownEngine(
  stack: AsyncDisposableStack,
  group: CountedGroup | null,
  { say, signal }: Stage,
): Promise<{ host: string } | { missing: string }> {
  if ((await which('dockerd', { nothrow: true })) === null) return { missing: 'there is no dockerd on the PATH' };
  if (process.getuid?.() !== 0) return { missing: 'only root can start an engine' };
  signal.throwIfAborted();
  say('an engine of its own');
  try {
    const docker = stack.use(await startDockerEngine(group));
    await buildBaseImage(docker.engine, say);
    return { host: docker.host };
  } catch (error) {
    // Where containers cannot be had, root or not, the figures of all else are wanted still. The last line has the cause.
    return { missing: String(error).trim().split('\n').at(-1) ?? '' };
  }
}

/** Whether a runtime can be used here; `docker` with the engine at that address. */
export async function probeOf(name: IsolationName, host: string | null = null) {
  const docker = { host, image: null, project: 'agent-cells' };
  return await makeRuntimes({ owner: 'bench', ...(await findRoots()), docker })[name].probe();
}

/** One cell from its start until nothing is left of it. */
async function oneCell(
  { bench, group, name, index }: { bench: BenchFleet; group: CountedGroup | null; name: IsolationName; index: number },
  signal: AbortSignal,
): Promise<RuntimeRun> {
  const { fleet } = bench;
  const [before, countedBefore] = [await takeAccounts(bench), await group?.cpu()];
  const started = performance.now();
  const end = endOf(fleet, await fleet.start('edit-and-wait', request(name, index)), signal);
  const memory = await beforeItsEnd(end, signal, async (until) => {
    await using _gate = await gateOf(fleet, until);
    const cells = [...(await memoryOfCells(bench.owner)).values()];
    return {
      pss: sum(cells.map(({ pss }) => pss)),
      anonymous: sum(cells.map(({ anonymous }) => anonymous)),
      engine: (await group?.engineMemory()) ?? null,
    };
  });
  const ended = await end;
  const wallSeconds = (performance.now() - started) / 1000;
  const leftovers = await settled(bench);
  const [after, counted] = [await takeAccounts(bench), await group?.cpu()];
  const used = (of: 'cells' | 'engine') =>
    counted === undefined || countedBefore === undefined ? null : counted[of] - countedBefore[of];
  const run = runFigures([ended], { wallSeconds, before, after, leftovers });
  return {
    ...run,
    memory: memory.pss,
    anonymous: memory.anonymous,
    cellCpu: used('cells'),
    engineCpu: name === 'docker' ? used('engine') : null,
    engineMemory: name === 'docker' ? memory.engine : null,
  };
}

/** Waits until the agent of the only cell waits after its edit, and answers the gate at which it does. It is in its home, which it sees in every runtime. */
async function gateOf({ stateDirectory }: Fleet, signal: AbortSignal): Promise<Gate> {
  const patience = { interval: 50, signal };
  let home = '';
  const isSpawned = async () => {
    const lease = (await leasesIn(stateDirectory)).find(({ server }) => server !== null);
    if (lease !== undefined) home = cellPaths(stateDirectory, lease.cellId).home;
    return lease !== undefined;
  };
  await waitFor(isSpawned, patience);
  await using stack = new AsyncDisposableStack();
  const gate = stack.use(await closedGate(home));
  await waitFor(() => existsSync(join(home, 'waits')), patience);
  stack.move();
  return gate;
}

/** Does something while a cell lives, and throws when the cell ends before it is done. */
async function beforeItsEnd<Answer>(
  end: Promise<EndedCell>,
  signal: AbortSignal,
  look: (until: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const over = new AbortController();
  const tooEarly = end.then(({ name, outcome }) => {
    throw new Error(`${name} ended before its agent waited: ${JSON.stringify(outcome)}`);
  });
  try {
    return await Promise.race([look(AbortSignal.any([signal, over.signal])), tooEarly]);
  } finally {
    over.abort();
  }
}
