/**
 * How long a cell takes to spawn and to end, and what a bare OpenCode server takes to boot beside it.
 *
 * Run by hand, on a machine that does nothing else: `node test/bench/spawn.ts [rounds] [runtime]`. Prints medians and the spread; times are
 * in milliseconds of the wall, and what the server used of a processor, in milliseconds too, says what the machine's load did to them.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { createClaimActivities, createHostActivities } from '../../activities/index.ts';
import type { CellHost } from '../../src/cell/host.ts';
import { waitingWarm } from '../../src/cell/warm-record.ts';
import { bootWarm, endWarm } from '../../src/cell/warm-server.ts';
import { readConfig } from '../../src/config.ts';
import { opencodeBinary } from '../../src/opencode/binary.ts';
import { prepareHome, serverEnvironment } from '../../src/opencode/profile.ts';
import { startRunner } from '../../src/runner/runner.ts';
import { opencodeProvider, scriptedModelId } from '../../src/scripted-model/opencode-provider.ts';
import { connectSupervisor } from '../../src/supervisor/client.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { makeHost } from '../../src/worker/make-host.ts';
import { activityEnvironment, ownerOf, requestOf } from '../support/cell-host.ts';
import { root } from '../support/source-files.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { temporaryRepository } from '../support/temporary-repository.ts';

const rounds = Number(process.argv[2] ?? 10);
const never = new AbortController().signal;

/** One of each thing that was timed, milliseconds: of the wall, and of processors, by the server and by this process with the git that it started. */
interface Sample {
  wall: number;
  server: number | null;
  own: number;
}

await using stack = new AsyncDisposableStack();
const directory = stack.use(await temporaryDirectory());
const repository = stack.use(await temporaryRepository());
const opencodeConfig = join(directory.path, 'opencode.json');
// No model is asked anything.
await writeFile(opencodeConfig, JSON.stringify({ ...opencodeProvider('http://127.0.0.1:9'), model: scriptedModelId }));
const env = {
  PATH: process.env['PATH'],
  CELLS_HOST_ID: 'bench',
  CELLS_RUNTIME: process.argv[3] ?? 'process',
  CELLS_STATE_DIR: join(directory.path, 'state'),
  CELLS_REPOSITORY: repository.path,
  CELLS_OPENCODE_CONFIG: opencodeConfig,
};
const config = readConfig(env, { dotenv: null });
// As a worker does.
stack.use(startRunner(join(root, 'src/worker/runner-main.ts')));
const supervisor = stack.use(await connectSupervisor(config.stateDirectory));
stack.defer(async () => void (await supervisor.stop({ force: true })));
const host = await makeHost(config, createLogger({ level: 'warn', format: 'json' }), { supervisor });
const steps = { ...createClaimActivities(host), ...createHostActivities(host) };

const samples: Record<string, Sample[]> = {};
for (let round = 0; round < rounds; round += 1) {
  await bareBoot(directory.path);
  await lifeOfCell(host, 'cold');
  await bootWarm(host, never);
  await lifeOfCell(host, 'warm');
}
for (const id of await waitingWarm(host.stateDirectory)) await endWarm(host, id);
print();

async function lifeOfCell({ stateDirectory, leases }: CellHost, start: string): Promise<void> {
  const request = requestOf();
  const owner = ownerOf(request);
  const { cellId } = await run(steps.claimHost, { owner, request });
  const waiting = (await waitingWarm(stateDirectory))[0];
  const before = waiting === undefined ? 0 : processorTime(await pidOf(waiting));
  const spawning = stopwatch();
  const spawned = await run(steps.spawnCell, { owner, cellId, request });
  const taken = spawning();
  if (spawned.start !== start) throw new Error(`the start was ${spawned.start}, not ${start}`);
  const found = await leases.read(cellId);
  const pid = found.kind === 'lease' ? (found.lease.server?.pid ?? 0) : 0;
  keep(`spawn, ${start}`, { ...taken, server: processorTime(pid) - before });
  const ending = stopwatch();
  await run(steps.teardownCell, { cellId });
  keep(`teardown, ${start}`, { ...ending(), server: null });
}

async function pidOf(id: string): Promise<number> {
  const text = readFileSync(join(config.stateDirectory, 'warm', `${id}.json`), 'utf8');
  return JSON.parse(text).ready.server.pid;
}

/** Until it says that it listens; a cell's own start goes on to its first request and the worktree. */
async function bareBoot(parent: string): Promise<void> {
  const home = join(parent, `bare-${performance.now()}`);
  await mkdir(home);
  await prepareHome(home);
  const configFile = opencodeConfig;
  const own = { home, password: 'bench', configFile, modelsFile: host.models?.file ?? null };
  const profile = { ...own, path: env.PATH ?? '', env: {}, providerEnvironment: {} };
  const starting = stopwatch();
  const server = execa(opencodeBinary, ['serve', '--hostname', '127.0.0.1', '--port', '0'], {
    cwd: home,
    extendEnv: false,
    env: serverEnvironment(profile),
    stdin: 'ignore',
    all: true,
    reject: false,
  });
  const listens = Promise.withResolvers<void>();
  server.all.on('data', (chunk: Buffer) => chunk.includes('listening on') && listens.resolve());
  await listens.promise;
  keep('bare boot of OpenCode', { ...starting(), server: processorTime(server.pid ?? 0) });
  server.kill('SIGKILL');
  await server;
}

/** Runs a step as Temporal would. */
function run<Input, Output>(step: (input: Input) => Promise<Output>, input: Input): Promise<Output> {
  return activityEnvironment().run(step, input);
}

function stopwatch(): () => Pick<Sample, 'wall' | 'own'> {
  const [wall, own] = [performance.now(), processorTime(process.pid, 4)];
  return () => ({ wall: performance.now() - wall, own: processorTime(process.pid, 4) - own });
}

/** Of a process, milliseconds; with four fields that of its children that have ended too. */
function processorTime(pid: number, count = 2): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // The kernel counts in hundredths of a second.
  return fields.slice(11, 11 + count).reduce((sum, field) => sum + Number(field) * 10, 0);
}

function keep(what: string, sample: Sample): void {
  (samples[what] ??= []).push(sample);
}

function print(): void {
  for (const [what, taken] of Object.entries(samples)) {
    const server = taken.flatMap((sample) => (sample.server === null ? [] : [sample.server]));
    const used = server.length === 0 ? '' : `, ${median(server)} of the server's`;
    const wall = taken.map((sample) => sample.wall);
    console.log(
      `${what}: p50 ${median(wall)} ms (${Math.round(Math.min(...wall))} to ${Math.round(Math.max(...wall))}); processor time ${median(taken.map(({ own }) => own))} of the worker's and git${used}`,
    );
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}
