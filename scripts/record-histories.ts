/**
 * Records the histories that `test/replay` replays: runs one cell for each path through the workflow on a server and workers of
 * its own, and writes `test/replay/histories/<path>.json`. For maintainers, after a change of the workflow that is meant to
 * change its commands: `npm run record [-- path …]`.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { openLocalTemporal } from '../src/cli/local-temporal.ts';
import { type CellHandle, outcomeOf } from '../src/client.ts';
import { outcomeJson } from '../src/cli/outcome.ts';
import { statusOf } from '../src/cli/table.ts';
import { type Path, pathNames, paths } from '../test/replay/paths.ts';
import { type Fleet, startFleet } from '../test/support/fleet.ts';
import { temporaryDirectory } from '../test/support/temporary-directory.ts';
import { neutral } from './record/neutral.ts';
import { type Way, crowdedWays, strictWays, ways } from './record/ways.ts';

const patienceScripts = fileURLToPath(new URL('../test/fixtures/scripts/patience.yaml', import.meta.url));
const directory = fileURLToPath(new URL('../test/replay/histories', import.meta.url));

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !pathNames.some((path) => path === name));
if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; there are ${pathNames.join(', ')}`);
await record();

async function record(): Promise<void> {
  await mkdir(directory, { recursive: true });
  await using logs = await temporaryDirectory();
  await using temporal = await openLocalTemporal({
    environment: {},
    port: 0,
    logFile: join(logs.path, 'temporal.log'),
    onStep: (line) => console.error(line),
    signal: new AbortController().signal,
  });
  await recordOrderly(temporal.address);
  await recordCrowded(temporal.address);
  await recordStrict(temporal.address);
}

/** Two cells at once: more would only slow each other down. */
async function recordOrderly(temporalAddress: string): Promise<void> {
  if (chosen(ways).length === 0) return;
  await using fleet = await startFleet({ temporalAddress, env: { CELLS_CAPACITY: '2' } });
  await settle(chosen(ways).map(async ([path, way]) => write(path, await way(fleet), fleet)));
}

async function recordCrowded(temporalAddress: string): Promise<void> {
  if (chosen(crowdedWays).length === 0) return;
  await using taken = await takenPort();
  const env = { CELLS_CAPACITY: '1', CELLS_PORTS: `${taken.port}-${taken.port}` };
  await using fleet = await startFleet({ temporalAddress, env });
  const writing = [];
  for (const [path, way] of entries(crowdedWays)) writing.push(write(path, await way(fleet), fleet));
  await settle(writing);
}

async function recordStrict(temporalAddress: string): Promise<void> {
  if (chosen(strictWays).length === 0) return;
  const env = { CELLS_SILENCE_LIMIT: '20s', CELLS_SERVER_MEMORY: '64m' };
  await using fleet = await startFleet({ temporalAddress, env, scripts: patienceScripts });
  await settle(chosen(strictWays).map(async ([path, way]) => write(path, await way(fleet), fleet)));
}

/** One that fails does not take the fleet from under the others. */
async function settle(writing: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(writing);
  const failed = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} paths were not recorded`);
}

function chosen(table: Partial<Record<Path, Way>>): [Path, Way][] {
  return entries(table).filter(([path]) => wanted.length === 0 || wanted.includes(path));
}

function entries(table: Partial<Record<Path, Way>>): [Path, Way][] {
  // The keys of the tables are paths: their types say so.
  return Object.entries(table) as [Path, Way][];
}

async function write(path: Path, cell: CellHandle, fleet: Fleet): Promise<void> {
  const outcome = await outcomeOf(cell);
  const ended = statusOf(outcome) === 'Cancelled' ? 'cancelled' : statusOf(outcome);
  if (ended !== paths[path]) throw new Error(`${path} ended as ${ended}: ${JSON.stringify(outcomeJson(outcome))}`);
  const history = await fleet.client.workflow.getHandle(cell.workflowId, cell.runId).fetchHistory();
  const content: unknown = JSON.parse(historyToJSON(history));
  await writeFile(join(directory, `${path}.json`), `${JSON.stringify(neutral(content, fleet), null, 1)}\n`);
  console.log(`${path}: ${history.events?.length ?? 0} events`);
}

async function takenPort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return { port: address.port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
