import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDockerRuntime } from '../../../src/runtimes/docker.ts';
import { baseImageName, buildBaseImage } from '../../../src/runtimes/docker/image.ts';
import { cellLabel, labelled, ownerLabel, partLabel } from '../../../src/runtimes/docker/labels.ts';
import { checkTargets, repairNetwork } from '../../../src/runtimes/docker/network.ts';
import { isAlive } from '../../../src/runtimes/processes.ts';
import { type CellUnderTest, cellUnderTest, type CreateRuntime } from '../../contracts/cell-under-test.ts';
import { type DockerEngine, startDockerEngine } from '../../support/docker-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';

const never = new AbortController().signal;
const limits = { timeout: 120_000 };
const project = 'life';
let docker: DockerEngine;

beforeAll(async () => {
  docker = await startDockerEngine();
}, 120_000);
afterAll(() => docker[Symbol.asyncDispose]());

const create: CreateRuntime = (options) =>
  createDockerRuntime({ ...options, docker: { host: docker.host, image: null, project } });
const containersOf = (cell: CellUnderTest) =>
  docker.engine.listContainers({ all: true, filters: labelled({ owner: cell.owner, cellId: cell.cellId }) });

test('a host without the image is told how to make it, and one without an engine what is missing', limits, async () => {
  await using cell = await cellUnderTest(create);
  expect(await cell.runtime.probe()).toMatchObject({ usable: false, try: 'run `cells image build`' });
  await buildBaseImage(docker.engine, () => undefined);
  expect(await cell.runtime.probe()).toMatchObject({ usable: true });

  const nowhere = { host: `unix://${cell.directory}/none.sock`, image: null, project };
  const without = createDockerRuntime({ owner: cell.owner, docker: nowhere });
  expect(await without.probe()).toMatchObject({
    usable: false,
    why: expect.stringContaining('no engine can be asked'),
  });
  expect([await without.list(), await without.listEmpty(), await without.destroy(cell.cellId)]).toEqual([[], [], 0]);
  const elsewhere = createDockerRuntime({ owner: cell.owner, docker: { ...nowhere, host: 'tcp://example:2375' } });
  expect(await elsewhere.probe()).toMatchObject({ usable: false, why: expect.stringContaining('no socket of this') });
});

test('a container has nothing that it does not need, and says whose it is', limits, async () => {
  await using cell = await cellUnderTest(create);
  const spec = cell.spec(['sleep', '300']);
  const limited = { memory: 256 * 1024 * 1024, cpus: 0.5, pids: 100, disk: 2 ** 30 };
  await cell.runtime.start({ ...spec, confinement: { ...confinementOf(cell), limits: limited } }, never);
  const [found] = await containersOf(cell);
  const { Config, HostConfig, Mounts } = await docker.engine.getContainer(found?.Id ?? '').inspect();
  expect(Config.Labels).toMatchObject({ [ownerLabel]: cell.owner, [cellLabel]: cell.cellId, [partLabel]: 'server' });
  expect(Config.User).toMatch(/^1\d{9}:1\d{9}$/);
  expect(Config.ExposedPorts ?? {}).toEqual({});
  expect(HostConfig).toMatchObject({
    NetworkMode: 'none',
    IpcMode: 'private',
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    Privileged: false,
    AutoRemove: true,
    Memory: limited.memory,
    MemorySwap: limited.memory,
    NanoCpus: 500_000_000,
    PidsLimit: 100,
    Ulimits: [{ Name: 'fsize', Soft: 2 ** 30, Hard: 2 ** 30 }],
  });
  expect(HostConfig.SecurityOpt).toContain('no-new-privileges');
  expect(HostConfig.SecurityOpt?.join()).not.toContain('unconfined');
  expect(Mounts.filter(({ RW }) => RW).map(({ Source }) => Source)).toEqual([cell.directory]);
  expect(JSON.stringify(Mounts)).not.toContain('docker.sock');
});

test('a container ends at once with the process that keeps it', limits, async () => {
  await using cell = await cellUnderTest(create);
  const fixture = join(import.meta.dirname, '../../fixtures/processes/docker-keeper.ts');
  const words = [docker.host, cell.owner, cell.cellId, cell.directory];
  const keeper = spawn(process.execPath, [fixture, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(keeper, 'exit');
  const [line] = await once(createInterface(keeper.stdout), 'line', { signal: AbortSignal.timeout(60_000) });
  const handle = JSON.parse(String(line));
  expect(isAlive(handle)).toBe(true);
  keeper.kill('SIGKILL');
  await exit;
  const killedAt = performance.now();
  await waitUntil(async () => (await cell.processes()).length === 0);
  expect(performance.now() - killedAt).toBeLessThan(3_000);
  await waitUntil(async () => (await containersOf(cell)).length === 0);
  expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'gone' });
});

test('what was made and never started is found by its labels, and released', limits, async () => {
  await using cell = await cellUnderTest(create);
  const Labels = { [ownerLabel]: cell.owner, [cellLabel]: cell.cellId, [partLabel]: 'server' };
  await docker.engine.createContainer({ Image: await baseImageName(), Cmd: ['true'], Labels });
  expect(await cell.runtime.list()).toEqual([]);
  expect(await cell.runtime.listEmpty()).toEqual([cell.cellId]);
  await cell.runtime.destroy(cell.cellId);
  expect(await containersOf(cell)).toEqual([]);
});

test('an engine that ends leaves no cell, and has none when it comes back', limits, async () => {
  await using cell = await cellUnderTest(create);
  const handle = await cell.runtime.start(cell.spec(['sleep', '300']), never);
  await docker.restart();
  await waitUntil(async () => (await cell.runtime.inspect(handle)).kind !== 'running');
  expect(await cell.runtime.list()).toEqual([]);
  await cell.runtime.destroy(cell.cellId);
  expect(await containersOf(cell)).toEqual([]);
  expect(await cell.runtime.exec(cell.command(['true']), never)).toMatchObject({ exitCode: 0 });
});

test('a command that is aborted while its engine hangs is ended all the same', limits, async () => {
  await using cell = await cellUnderTest(create);
  const aborted = new AbortController();
  const run = cell.runtime.exec(cell.command(['/bin/sh', '-c', 'echo runs; sleep 302']), aborted.signal);
  const ended = expect(run).rejects.toThrow('the cell was cancelled');
  await waitUntil(async () => (await readFile(cell.logFile, 'utf8').catch(() => '')).includes('runs'));
  using _hung = docker.hang();
  aborted.abort(new Error('the cell was cancelled'));
  await ended;
  expect(await cell.processes()).toEqual([]);
});

test(
  'a command whose engine is lost is ended and fails, and nobody waits for the word on a server that ended without one',
  limits,
  async () => {
    await using cell = await cellUnderTest(create);
    const handle = await cell.runtime.start(cell.spec(['sleep', '300']), never);
    // A shell, what it started, and another that waits for the end of the lifeline.
    const ofServer = await cell.waitForProcesses(3);
    const run = cell.runtime.exec(cell.command(['/bin/sh', '-c', 'echo runs; sleep 301']), never);
    const failed = expect(run).rejects.toThrow('engine was lost');
    await waitUntil(async () => (await readFile(cell.logFile, 'utf8')).includes('runs'));
    await docker.crash();
    await failed;
    expect(await cell.processes()).toEqual(ofServer);
    expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'running' });
    await docker.kill();
    await waitUntil(async () => (await cell.processes()).length === 0);
    expect(await cell.runtime.inspect(handle)).toEqual({ kind: 'gone' });
    await docker.restart();
    expect(await cell.runtime.exec(cell.command(['true']), never)).toMatchObject({ exitCode: 0 });
  },
);

test(
  'a service of the project is reached by its name, and is put into the network where it is in none',
  limits,
  async () => {
    await using cell = await cellUnderTest(create);
    const { engine } = docker;
    const service = await engine.createContainer({
      Image: await baseImageName(),
      Cmd: ['/usr/bin/socat', 'TCP4-LISTEN:5432,fork,reuseaddr', 'SYSTEM:echo of the service'],
      Labels: { 'com.docker.compose.project': project, 'com.docker.compose.service': 'db' },
      HostConfig: { NetworkMode: 'none', Mounts: [{ Type: 'bind', Source: '/usr', Target: '/usr', ReadOnly: true }] },
    });
    await service.start();
    const [before] = await checkTargets(engine, project, ['db:5432']);
    expect(before).toMatchObject({ by: 'service', problem: expect.stringContaining('no network') });
    expect(await repairNetwork(engine, project, ['db:5432'])).toHaveLength(2);
    expect(await repairNetwork(engine, project, ['db:5432'])).toEqual([]);
    await waitUntil(async () => (await checkTargets(engine, project, ['db:5432']))[0]?.problem === null);
    expect(await checkTargets(engine, project, ['nobody.invalid:1'])).toMatchObject([{ by: null }]);

    const command = cell.command(['/bin/sh', '-c', 'socat -t 5 - TCP4:db:5432 </dev/null; socat - TCP4:db:5433']);
    const confinement = { ...confinementOf(cell), allow: ['db:5432'] };
    expect(await cell.runtime.exec({ ...command, confinement }, never)).toMatchObject({ exitCode: 1 });
    expect(await readFile(cell.logFile, 'utf8')).toMatch(/^of the service\n[^\n]*refused/);
    await service.remove({ force: true });
  },
);

function confinementOf(cell: CellUnderTest) {
  const { confinement } = cell.spec(['true']);
  if (confinement === undefined) throw new Error('the runtime confines');
  return confinement;
}
