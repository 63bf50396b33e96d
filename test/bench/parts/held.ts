import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import waitFor from 'p-wait-for';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { CellHandle } from '../../../src/client.ts';
import { leasesIn } from '../../support/host-state.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { settled, takeAccounts } from '../accounts.ts';
import { type EndedCell, endOf, runFigures } from '../cell-figures.ts';
import { type Gate, closedGate } from '../gate.ts';
import type { HeldFigures } from '../results.ts';
import { type BenchFleet, type Stage, openBenchFleet } from '../stage.ts';
import { distribution, sum } from '../statistics.ts';
import { type MachineMemory, machineMemory, peakOf } from '../usage.ts';
import { type MemoryNow, type MemoryWatch, memoryNow, watchMemory } from '../watch-memory.ts';
import { request } from './request.ts';

/** Starts so many cells and holds each after its edit until all have come that far; then all of them finish. */
export async function runHeld(stage: Stage, cells: number): Promise<HeldFigures> {
  const { say, signal } = stage;
  await using directory = await temporaryDirectory();
  await using bench = await openBenchFleet(stage, { capacity: cells });
  await using gate = await closedGate(directory.path);
  const machine = await machineMemory();
  const before = await takeAccounts(bench);
  const started = performance.now();
  // A sample costs some milliseconds of processor time for each process: fewer where there are more.
  await using watch = await watchMemory(bench, Math.max(2_000, cells * 200));
  const ends = await startAll(bench, cells, gate, signal);
  const held = await holdAll({ bench, cells, ends, signal, say });
  await gate.open();
  const ended = await Promise.all(ends);
  const wallSeconds = (performance.now() - started) / 1000;
  await watch[Symbol.asyncDispose]();
  const leftovers = await settled(bench);
  const run = runFigures(ended, { wallSeconds, before, after: await takeAccounts(bench), leftovers });
  return {
    ...run,
    ...heldTimes(ended, held),
    ...memoryFigures(held, watch),
    machine: machineFigures(machine, await machineMemory(), ended),
  };
}

async function startAll(
  { fleet }: BenchFleet,
  cells: number,
  gate: Gate,
  signal: AbortSignal,
): Promise<Promise<EndedCell>[]> {
  const handles: CellHandle[] = [];
  for (let index = 0; index < cells; index += 1) {
    signal.throwIfAborted();
    handles.push(await fleet.start('edit-and-wait', request('held', index, { env: { GATE: gate.path } })));
  }
  const ends = handles.map((handle) => endOf(fleet, handle, signal));
  // Whoever waits for the first of them hears of it; the others must not end the program.
  for (const end of ends) end.catch(() => undefined);
  return ends;
}

interface Held {
  /** Milliseconds for which each cell was held, by its id. */
  times: Map<string, number>;
  memory: MemoryNow;
  /** MiB that each server ever had resident. */
  peaks: number[];
}

/** Waits until all agents wait, and looks at them then. */
async function holdAll(run: {
  bench: BenchFleet;
  cells: number;
  ends: readonly Promise<EndedCell>[];
  signal: AbortSignal;
  say: Stage['say'];
}): Promise<Held> {
  const { bench, cells, signal, say } = run;
  const { stateDirectory } = bench.fleet;
  const tooEarly = Promise.race(run.ends).then(({ name, outcome }) => {
    throw new Error(`${name} ended while the others were still to come: ${JSON.stringify(outcome)}`);
  });
  let waiting = new Map<string, number>();
  const allWait = async () => {
    const now = await waitingSince(stateDirectory);
    if (now.size !== waiting.size) say(`${now.size} of ${cells} have edited their file`);
    waiting = now;
    return waiting.size === cells;
  };
  await Promise.race([waitFor(allWait, { interval: 500, signal }), tooEarly]);
  const memory = await memoryNow(bench);
  const servers = (await leasesIn(stateDirectory)).flatMap(({ server }) => server?.pid ?? []);
  const peaks = (await Promise.all(servers.map(peakOf))).filter((peak) => peak !== null);
  const now = Date.now();
  return { times: new Map([...waiting].map(([cellId, since]) => [cellId, now - since])), memory, peaks };
}

/** Since when the agent of each cell waits, milliseconds since the epoch, by the cell's id. */
async function waitingSince(stateDirectory: string): Promise<Map<string, number>> {
  const leases = await leasesIn(stateDirectory);
  const found = await Promise.all(
    leases.map(async ({ cellId }): Promise<[string, number][]> => {
      const flag = await stat(join(cellPaths(stateDirectory, cellId).home, 'waits')).catch(() => null);
      return flag === null ? [] : [[cellId, flag.mtimeMs]];
    }),
  );
  return new Map(found.flat());
}

function heldTimes(ended: readonly EndedCell[], { times }: Held): Pick<HeldFigures, 'held' | 'verdict'> {
  const verdicts = ended.flatMap(({ outcome, times: { total } }) => {
    const cellId = outcome.kind === 'verdict' ? outcome.result.cellId : null;
    const held = cellId === null ? undefined : times.get(cellId);
    return held === undefined || total === null ? [] : [total - held];
  });
  return { held: distribution([...times.values()]), verdict: distribution(verdicts) };
}

function memoryFigures(
  { memory, peaks }: Held,
  { samples }: MemoryWatch,
): Pick<HeldFigures, 'perCell' | 'together' | 'peakResident' | 'peak' | 'samples'> {
  const cells = [...memory.cells.values()];
  return {
    perCell: distribution(cells),
    together: { ...memory, cells: sum(cells) },
    peakResident: distribution(peaks),
    peak: {
      cells: Math.max(...samples.map((sample) => sample.cells)),
      taken: Math.max(...samples.map((sample) => sample.taken)),
    },
    samples,
  };
}

function machineFigures(
  before: MachineMemory,
  after: MachineMemory,
  ended: readonly EndedCell[],
): HeldFigures['machine'] {
  const results = ended.flatMap(({ outcome }) => (outcome.kind === 'verdict' ? [outcome.result] : []));
  return {
    swapUsed: after.swapUsed,
    swappedOut: after.swappedOut - before.swappedOut,
    killed: after.killed - before.killed,
    respawned: sum(results.map(({ respawns }) => respawns)),
  };
}
