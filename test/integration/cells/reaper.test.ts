import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lease, newLease } from '../../../src/cell/lease.ts';
import { createLeaseStore } from '../../../src/cell/leases.ts';
import { cellPaths, hostPaths } from '../../../src/cell/paths.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import { stateDirectoryId } from '../../../src/cell/hostlock.ts';
import { type CellGroups, createCellGroups } from '../../../src/runtimes/cgroup.ts';
import { findGroupRoot } from '../../../src/runtimes/cgroup-root.ts';
import { createProcessRuntime } from '../../../src/runtimes/process.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { supervised } from '../../../src/supervisor/supervised-runtime.ts';
import { currentBootId, identityOf } from '../../../src/runtimes/processes.ts';
import { cells } from '../../support/cells-command.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leaseIn, leasesIn } from '../../support/host-state.ts';
import { isRunning, processesMarked } from '../../support/processes.ts';
import { scrape, valueOf } from '../../support/prometheus.ts';
import { remainsOf } from '../../support/remains.ts';
import { unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';

const forged = '00000000000f0f0f';
const misdated = '00000000000f1f1f';
const leaseless = 'dddddddddddddddd';
const orphaned = 'aaaaaaaaaaaaaaaa';
const young = 'bbbbbbbbbbbbbbbb';
const damaged = 'cccccccccccccccc';

const groupRoot = await findGroupRoot();
const noGroups = groupRoot.root === null;

/** A host whose worker was killed while one cell's workflow was terminated and another's went on. */
describe('what cells left behind on a host', { timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  let fleet: Fleet;
  let terminated: Lease;
  let alive: Lease;
  let stranger: number;

  beforeAll(async () => {
    fleet = stack.use(await startFleet({ scripts: unhurriedScripts }));
    const handles = [
      await fleet.start('by-one', { agentId: 'terminated' }),
      await fleet.start('by-another', { agentId: 'alive' }),
    ];
    const leases = await untilAgentsWait(fleet.stateDirectory, 2);
    await fleet.worker.end('SIGKILL');
    await fleet.client.workflow.getHandle(handles[0]?.workflowId ?? '').terminate('no cleanup runs');
    [terminated, alive] = [leaseOf(leases, 'terminated'), leaseOf(leases, 'alive')];
    stranger = await startStranger(stack);
    await forge(fleet, stranger);
    await leaveOrphans(fleet);
    await startLeaseless(fleet);
    await discardSomething(fleet);
  }, 360_000);
  afterAll(() => stack.disposeAsync());

  test('is listed by a dry run, which changes nothing', async () => {
    const before = await inventory(fleet);
    const { exitCode, stdout } = await cells(fleet.env, 'reap', '--dry-run', '--json');
    expect(exitCode).toBe(0);
    const lines: { resource: string; cellId: string; outcome: string; why: string }[] = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    const found = lines.map(({ resource, cellId, outcome }) => `${outcome} ${resource} ${cellId}`);
    expect(found.toSorted((one, other) => one.localeCompare(other))).toEqual(
      [
        `found cell ${forged}`,
        `found cell ${misdated}`,
        `found process ${leaseless}`,
        'found trash null',
        ...(noGroups ? [] : [`found group ${orphaned}`]),
        `found cell ${terminated.cellId}`,
        `found lease ${damaged}`,
        `found port ${orphaned}`,
        `found worktree ${orphaned}`,
      ].toSorted((one, other) => one.localeCompare(other)),
    );
    for (const { why } of lines) expect(why).toMatch(/has ended|no lease|cannot be read|not finished/);
    expect(await inventory(fleet)).toEqual(before);
  });

  test('is released by the next worker before it takes up work', async () => {
    await fleet.startWorker();
    expect(await remainsOf(fleet, terminated.cellId, terminated.port ?? 0)).toEqual([]);
    expect(await leaseIn(fleet.stateDirectory, forged)).toBeNull();
    expect(await leaseIn(fleet.stateDirectory, misdated)).toBeNull();
    expect(await processesMarked(cellMarker, leaseless)).toEqual([]);
    const groups = await groupsOf(fleet);
    expect(await groups?.list()).toEqual(noGroups ? undefined : [alive.cellId]);
    const host = hostPaths(fleet.stateDirectory);
    expect(await readdir(host.worktrees)).toEqual(expect.not.arrayContaining([orphaned]));
    expect(await readdir(host.ports)).toEqual(expect.not.arrayContaining(['65001']));
    expect((await readdir(host.quarantine)).map((name) => name.split('.')[0])).toEqual([damaged]);
  });

  test('is not taken from a workflow that runs, nor before its time of grace is over', async () => {
    const host = hostPaths(fleet.stateDirectory);
    expect(await readdir(host.worktrees)).toEqual(expect.arrayContaining([young, alive.cellId]));
    expect(await readFile(join(host.ports, '65002'), 'utf8')).toBe(young);
    expect(await leaseIn(fleet.stateDirectory, alive.cellId)).toMatchObject({ server: alive.server });
    expect(await isRunning(alive.server?.pid ?? 0)).toBe(true);
  });

  test("is never a stranger's process, whatever a lease says of it", async () => {
    expect(await isRunning(stranger)).toBe(true);
    expect(await processesMarked(cellMarker, forged)).toEqual([]);
  });

  test('is counted by kind', async () => {
    const samples = await scrape(fleet.metricsUrl);
    const counted = ['cell', 'worktree', 'port', 'lease', 'process', 'group'].map((resource) => [
      resource,
      valueOf(samples, 'cells_reaped_total', { resource }),
    ]);
    expect(Object.fromEntries(counted)).toEqual({
      cell: 3,
      worktree: 1,
      port: 1,
      lease: 1,
      process: 1,
      group: noGroups ? undefined : 1,
    });
  });

  test('is refused to a reaper beside a running worker, who does it by itself', async () => {
    const { exitCode, stderr } = await cells(fleet.env, 'reap');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('another worker runs on');
  });

  test('is released by the command, where no worker will come back', async () => {
    await fleet.worker.end('SIGKILL');
    await fleet.client.workflow.getHandle(alive.owner.workflowId).terminate('no cleanup runs');
    await discardSomething(fleet);
    const shown = await cells(fleet.env, 'reap', '--dry-run');
    expect(shown.stdout).toMatch(/^cell +what +outcome +why$/m);
    expect(shown.stdout).toMatch(new RegExp(`^${alive.cellId} +cell +found +its workflow .* has ended$`, 'm'));
    expect(shown.stdout).toMatch(/^– +trash +found +the deletion of 1 directory was begun/m);
    expect(await isRunning(alive.server?.pid ?? 0)).toBe(true);

    const { exitCode, stdout } = await cells(fleet.env, 'reap', '--json');
    expect(exitCode).toBe(0);
    const outcomes = stdout.split('\n').map((line) => JSON.parse(line));
    expect(outcomes).toEqual([
      expect.objectContaining({ resource: 'cell', cellId: alive.cellId, outcome: 'released' }),
      expect.objectContaining({ resource: 'trash', outcome: 'released' }),
    ]);
    expect(await remainsOf(fleet, alive.cellId, alive.port ?? 0)).toEqual([]);
    expect(await isRunning(stranger)).toBe(true);
    expect((await cells(fleet.env, 'reap', '--dry-run')).stderr).toContain('nothing is left behind on this host');
  });
});

function leaseOf(leases: readonly Lease[], agentId: string): Lease {
  const lease = leases.find(({ owner }) => owner.agentId === agentId);
  if (lease === undefined) throw new Error(`${agentId} has no lease`);
  return lease;
}

async function startStranger(stack: AsyncDisposableStack): Promise<number> {
  const child = execa('sleep', ['600'], { reject: false, stdin: 'ignore' });
  stack.defer(async () => {
    child.kill('SIGKILL');
    await child;
  });
  return child.pid ?? 0;
}

/** Leases that name a process, and a workflow that never was: one of them of another start time and another boot. */
async function forge({ stateDirectory }: Fleet, pid: number): Promise<void> {
  const owner = {
    workflowId: 'cell/no/body',
    runId: 'b0dd1e5e-0000-4000-8000-000000000000',
    agentId: 'body',
    taskId: 'no',
    respawn: 0,
  };
  const rest = { owner, host: 'host', runtime: 'process', model: 'a/b', agentType: 'worker' } as const;
  const now = { startTime: identityOf(pid)?.startTime ?? '0', bootId: currentBootId() };
  for (const [cellId, when] of [
    [forged, now],
    [misdated, { startTime: '1', bootId: 'another' }],
  ] as const) {
    await createLeaseStore(stateDirectory).createOrKeep({
      ...newLease({ cellId, ...rest }),
      state: 'ready',
      server: { version: 1, runtime: 'process', cellId, pid, ...when },
    });
  }
}

/** A process that the supervisor keeps, of a cell without a lease. */
async function startLeaseless({ stateDirectory, env }: Fleet): Promise<void> {
  await using supervisor = await connectSupervisor(stateDirectory);
  const owner = await stateDirectoryId(stateDirectory);
  await supervised(createProcessRuntime({ owner }), supervisor).start(
    {
      cellId: leaseless,
      command: ['sleep', '600'],
      directory: stateDirectory,
      env: { PATH: env['PATH'] ?? '' },
      logFile: join(stateDirectory, 'leaseless.log'),
    },
    AbortSignal.timeout(20_000),
  );
}

/** What a worker that dies in the middle of a deletion leaves. */
async function discardSomething({ stateDirectory }: Fleet): Promise<void> {
  await mkdir(join(hostPaths(stateDirectory).trash, 'home.half-deleted', 'inside'), { recursive: true });
}

async function groupsOf({ stateDirectory }: Fleet): Promise<CellGroups | null> {
  return groupRoot.root === null ? null : createCellGroups(groupRoot.root, await stateDirectoryId(stateDirectory));
}

/** Worktrees and ports without a lease, and a lease that cannot be read: old ones, and young ones that may be half made. */
async function leaveOrphans(fleet: Fleet): Promise<void> {
  const { stateDirectory } = fleet;
  const host = hostPaths(stateDirectory);
  for (const [cellId, port] of [
    [orphaned, '65001'],
    [young, '65002'],
  ] as const) {
    await mkdir(join(host.worktrees, cellId), { recursive: true });
    await writeFile(join(host.worktrees, cellId, 'file'), 'x');
    await writeFile(join(host.ports, port), cellId);
  }
  const groups = await groupsOf(fleet);
  await groups?.make(orphaned, 'server');
  await mkdir(cellPaths(stateDirectory, damaged).directory, { recursive: true });
  await writeFile(cellPaths(stateDirectory, damaged).lease, '{');
  const old = new Date(Date.now() - 60 * 60_000);
  for (const path of [
    join(host.worktrees, orphaned),
    join(host.ports, '65001'),
    cellPaths(stateDirectory, damaged).directory,
  ]) {
    await utimes(path, old, old);
  }
}

async function inventory({ stateDirectory }: Fleet): Promise<string[]> {
  const host = hostPaths(stateDirectory);
  const names = await Promise.all(
    [host.cells, host.worktrees, host.ports, host.quarantine].map((path) => readdir(path).catch(() => [])),
  );
  // The servers alone: what the agents' shells run changes by the moment.
  const servers = (await leasesIn(stateDirectory)).flatMap(({ server }) => (server === null ? [] : [server.pid]));
  const living = await Promise.all(servers.map(async (pid) => `server ${pid} ${await isRunning(pid)}`));
  return [...names.flat(), ...living].toSorted((one, other) => one.localeCompare(other));
}
