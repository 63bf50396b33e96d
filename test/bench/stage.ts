import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requiredSearchAttributes } from '../../src/domain/search-attributes.ts';
import { type DevServer, startDevServer } from '../../src/temporal/dev-server.ts';
import { findTemporal } from '../../src/temporal/find-temporal.ts';
import { type Fleet, bringUpFleet } from '../support/bring-up-fleet.ts';
import { runningProcesses } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** What the parts of the bench stand on. */
export interface Stage extends AsyncDisposable {
  temporal: DevServer;
  /** Tells whoever watches how far it is. */
  say(line: string): void;
  signal: AbortSignal;
}

/** A fleet and what its processes are called in `/proc`. */
export interface BenchFleet extends AsyncDisposable {
  fleet: Fleet;
  pids: { worker: number; supervisor: number; temporal: number };
  /** The value of the marker that every process of its cells carries. */
  owner: string;
}

const ownScripts = fileURLToPath(new URL('bench.yaml', import.meta.url));

/** Starts a Temporal server of its own, so that its cost is known too. */
export async function openStage(say: (line: string) => void, signal: AbortSignal): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const found = await findTemporal({ address: undefined, onStep: say, signal });
  if (found.kind !== 'binary') throw new TypeError('no address was given');
  const directory = stack.use(await temporaryDirectory());
  // Not the caller's signal: the cells that still run when it aborts are ended in order first, and need the server for it.
  const ended = new AbortController();
  const temporal = stack.use(
    await startDevServer({
      binary: found.path,
      port: 0,
      logFile: join(directory.path, 'temporal.log'),
      searchAttributes: requiredSearchAttributes,
      signal: ended.signal,
    }),
  );
  const owned = stack.move();
  return { temporal, say, signal, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Brings up a worker that has room for so many cells, on a repository in which every agent has one file to edit. */
export async function openBenchFleet(
  { temporal, signal }: Stage,
  {
    capacity,
    scripts = ownScripts,
    warm = 0,
    env = {},
  }: { capacity: number; scripts?: string; warm?: number; env?: Record<string, string> },
): Promise<BenchFleet> {
  signal.throwIfAborted();
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(
    await bringUpFleet({
      temporalAddress: temporal.address,
      scripts,
      files: { 'src/answer.txt': 'wrong\n', 'README.md': '# A repository\n' },
      env: {
        CELLS_CAPACITY: String(capacity),
        CELLS_WARM: String(warm),
        // An agent that is held says nothing for as long as the others take.
        CELLS_SILENCE_LIMIT: '2h',
        ...env,
      },
      detached: true,
    }),
  );
  const pids = {
    worker: fleet.worker.pid,
    supervisor: await supervisorOf(fleet.stateDirectory),
    temporal: temporal.pid,
  };
  const owner = await readFile(join(fleet.stateDirectory, 'id'), 'utf8');
  const owned = stack.move();
  return { fleet, pids, owner, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function supervisorOf(stateDirectory: string): Promise<number> {
  const found = (await runningProcesses()).find(
    ({ command }) => command.includes(join('supervisor', 'main.ts')) && command.includes(stateDirectory),
  );
  if (found === undefined) throw new Error('the worker has no supervisor');
  return found.pid;
}
