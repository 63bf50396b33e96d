import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths, warmPaths } from '../../src/cell/paths.ts';
import { findUnowned, releaseUnowned } from '../../src/cell/reaper.ts';
import { serverPlace } from '../../src/cell/server-place.ts';
import { tendPool } from '../../src/cell/warm-pool.ts';
import { claimWarm, listWarm } from '../../src/cell/warm-record.ts';
import { endWarm } from '../../src/cell/warm-server.ts';
import { cellMarker } from '../../src/domain/names.ts';
import type { IsolationName } from '../../src/domain/request.ts';
import { addWorktree } from '../../src/git/worktree.ts';
import { type CellHostUnderTest, ownerOf, requestOf, startCellHost } from '../support/cell-host.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { leasesIn } from '../support/host-state.ts';
import { processesMarked } from '../support/processes.ts';
import { scrape, valueOf } from '../support/prometheus.ts';
import { remainsOf } from '../support/remains.ts';
import { runtimeSettings } from '../support/test-runtime.ts';
import { waitUntil } from '../support/wait-until.ts';
import {
  bootStandIn,
  onlyWarm,
  remainsOfWarm,
  runtimeOf,
  serversOf,
  spawnedBy,
  untilReady,
} from '../support/warm-servers.ts';

const never = new AbortController().signal;
const room = { mayKeep: () => Promise.resolve(true), mayAdd: () => Promise.resolve(true) };

/** What a host promises of the servers that it boots ahead, in each runtime. */
export function warmServersContract(runtime: IsolationName): void {
  const stack = new AsyncDisposableStack();
  let env: Record<string, string>;
  beforeAll(async () => void (env = { CELLS_WARM: '1', ...(await runtimeSettings(runtime, stack)) }), 120_000);
  afterAll(() => stack.disposeAsync());
  describe('a worker that keeps a server warm', { timeout: 300_000 }, () => workerThatKeepsOne(() => env));
  describe('a warm server', { timeout: 240_000 }, () => warmServer(runtime, () => env));
}

function workerThatKeepsOne(env: () => Record<string, string>): void {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ env: env() })));
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('gives it to the next cell, once, and boots another', async () => {
    const warm = await untilReady(fleet.stateDirectory);
    const testCommand = 'grep -q right answer.txt && git log --format=%s --max-count=1 | grep -q "by the agent itself"';
    const cell = await fleet.start('commits-itself', { testCommand });
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', tests: { outcome: 'passed' }, respawns: 0 });
    expect(await fleet.repository.git('show', `${result.commit}:answer.txt`)).toBe('right');
    expect(await spawnedBy(fleet, 'warm')).toBe(1);
    expect(await remainsOf(fleet, result.cellId ?? '')).toEqual([]);
    expect(await remainsOfWarm(fleet.stateDirectory, warm.id)).toEqual([]);
    expect((await untilReady(fleet.stateDirectory)).id).not.toBe(warm.id);
  });

  test('boots one for a cell that asks for an environment of its own', async () => {
    const warm = await untilReady(fleet.stateDirectory);
    const cell = await fleet.start('edit-other', { env: { GREETING: 'hello' } });
    expect(await cell.result()).toMatchObject({ status: 'committed' });
    expect([await spawnedBy(fleet, 'warm'), await spawnedBy(fleet, 'cold')]).toEqual([1, 1]);
    expect((await untilReady(fleet.stateDirectory)).id).toBe(warm.id);
  });

  test('counts it as no cell, and ends it with itself when none lives', async () => {
    const warm = await untilReady(fleet.stateDirectory);
    const samples = await scrape(fleet.metricsUrl);
    expect(valueOf(samples, 'cells_warm_servers', { host: fleet.hostId })).toBe(1);
    expect(valueOf(samples, 'cells_active', { host: fleet.hostId, runtime: 'process' })).toBe(0);
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
    expect(await fleet.worker.end('SIGTERM')).toBe(0);
    expect(await remainsOfWarm(fleet.stateDirectory, warm.id)).toEqual([]);
  });

  test('leaves it to the next worker when it is killed, which keeps it, or ends it where none are kept', async () => {
    await fleet.startWorker();
    const warm = await untilReady(fleet.stateDirectory);
    await fleet.worker.end('SIGKILL');
    await fleet.startWorker();
    expect((await untilReady(fleet.stateDirectory)).id).toBe(warm.id);
    await fleet.worker.end('SIGKILL');
    fleet.env['CELLS_WARM'] = '0';
    await fleet.startWorker();
    expect(await remainsOfWarm(fleet.stateDirectory, warm.id)).toEqual([]);
    expect(valueOf(await scrape(fleet.metricsUrl), 'cells_reaped_total', { resource: 'warm' })).toBe(1);
  });
}

function warmServer(runtime: IsolationName, env: () => Record<string, string>): void {
  let place: CellHostUnderTest;
  beforeAll(async () => void (place = await startCellHost({ env: env() })));
  afterAll(async () => {
    for (const { id } of (await listWarm(place.stateDirectory)).records) await endWarm(place.host, id);
    await place[Symbol.asyncDispose]();
  });
  const claim = async (agentId: string) => {
    // The same suite runs beside this one, and processes are looked for by the ids of their cells.
    const request = requestOf({ agentId, taskId: runtime });
    const owner = ownerOf(request);
    const { cellId } = await place.steps.claimHost({ owner, request });
    return { cellId, owner, request };
  };

  test('that died is not adopted, and is replaced', async () => {
    const dead = await bootStandIn(place.host);
    await runtimeOf(place).destroy(dead.id);
    const cell = await place.spawn({ taskId: runtime, agentId: 'cold' });
    expect(cell.start).toBe('cold');
    await place.steps.teardownCell({ cellId: cell.cellId });
    await tendPool(place.host, room, never);
    expect((await onlyWarm(place)).id).not.toBe(dead.id);
    expect(await remainsOfWarm(place.stateDirectory, dead.id)).toEqual([]);
  });

  test('answers for the worktree of its cell, with the configuration of that cell, and a second spawn finds it', async () => {
    const warm = await onlyWarm(place);
    const cell = await claim('found');
    const first = await place.steps.spawnCell(cell);
    expect(first).toMatchObject({ start: 'warm', port: warm.ready?.port });
    expect(await (await place.afterRestart()).steps.spawnCell(cell)).toEqual(first);
    expect(await serversOf(warm.id)).toHaveLength(1);
    expect((await processesMarked(cellMarker, warm.id)).map(({ pid }) => pid)).toContain(warm.ready?.server.pid);
    const answer = await place.steps.executePrompt({
      cellId: cell.cellId,
      round: 0,
      text: 'Do it. [script: edit-file]',
      tokenBudget: 50_000,
    });
    expect(answer).toMatchObject({ kind: 'finished', usage: { summary: 'I wrote answer.txt.' } });
    expect(await readdir(first.worktree)).toContain('answer.txt');
    expect(await unowned(place, true)).toEqual([]);
    // A server that took its place is told apart from it by nothing, as a cell that was booted for itself.
    for (const { pid } of await serversOf(warm.id)) process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await processesMarked(cellMarker, warm.id)).length === 0);
    const revived = await place.steps.reviveCell(cell);
    expect(revived).toMatchObject({ worktree: first.worktree });
    expect(await serversOf(warm.id)).toHaveLength(1);
    // Those of a private repository are linked by all cells of a base.
    const packs = join((await serverPlace(place.stateDirectory, cell.cellId)).agentGit, 'objects/pack');
    for (const name of await readdir(packs).catch(() => []))
      expect((await stat(join(packs, name))).uid).toBe(process.getuid?.());
    await place.steps.teardownCell({ cellId: cell.cellId });
    expect(await remainsOf(place, cell.cellId, revived.port)).toEqual([]);
    expect(await remainsOfWarm(place.stateDirectory, warm.id)).toEqual([]);
  });

  test('that a cell had just adopted when its worker was killed goes with the next try, or with the cell', async () => {
    for (const next of ['spawn', 'teardown', 'reap'] as const) {
      const warm = await bootStandIn(place.host);
      const cell = await claim(`killed-${next}`);
      // The first thing that an adoption does; the worker gets no further.
      expect(await claimWarm(place.stateDirectory, warm.id, cell.cellId)).toBe(true);
      expect(await claimWarm(place.stateDirectory, warm.id, cell.cellId)).toBe(false);
      const { host, steps } = await place.afterRestart();
      await tendPool({ ...host, warmServers: 0 }, room, never);
      expect(await unowned(place, true)).toEqual([]);
      expect(await serversOf(warm.id)).toHaveLength(1);
      await {
        spawn: async () => expect((await steps.spawnCell(cell)).start).toBe('cold'),
        reap: async () => {
          for (const found of await findUnowned(host, async () => false)) await releaseUnowned(host, found);
        },
        teardown: async () => undefined,
      }[next]();
      await steps.teardownCell({ cellId: cell.cellId });
      expect(await remainsOfWarm(place.stateDirectory, warm.id)).toEqual([]);
      expect(await remainsOf(place, cell.cellId)).toEqual([]);
    }
  });

  test('whose cell has lost its lease is ended, and its worktree is no entry of the repository any more', async () => {
    const warm = await bootStandIn(place.host);
    const { cellId } = await claim('lease-lost');
    expect(await claimWarm(place.stateDirectory, warm.id, cellId)).toBe(true);
    const gitDirectory = join(place.repository.path, '.git');
    const { worktree: path } = warmPaths(place.stateDirectory, warm.id);
    await addWorktree({ gitDirectory, path, commit: place.repository.commit, prepared: runtimeOf(place).confines });
    await writeFile(cellPaths(place.stateDirectory, cellId).lease, '{');
    // With the lease goes what said who had the server.
    expect(await place.host.leases.quarantine(cellId)).toBe(true);
    for (const found of await findUnowned(place.host, async () => true)) await releaseUnowned(place.host, found);
    expect(await remainsOfWarm(place.stateDirectory, warm.id)).toEqual([]);
    expect(await readdir(gitDirectory)).not.toContain('worktrees');
  });

  test('is given back at once when memory is short, and when what servers are started with has changed', async () => {
    const first = await bootStandIn(place.host);
    await tendPool({ ...place.host, path: '/elsewhere' }, { ...room, mayAdd: () => Promise.resolve(false) }, never);
    expect(await remainsOfWarm(place.stateDirectory, first.id)).toEqual([]);
    const second = await bootStandIn(place.host);
    await tendPool(place.host, room, never);
    expect((await onlyWarm(place)).id).toBe(second.id);
    await tendPool(place.host, { ...room, mayKeep: () => Promise.resolve(false) }, never);
    expect(await remainsOfWarm(place.stateDirectory, second.id)).toEqual([]);
    expect(await listWarm(place.stateDirectory)).toEqual({ records: [], directories: [] });
  });

  test('is left to the cell that adopted it while another one was being ended', async () => {
    await bootStandIn(place.host);
    await bootStandIn(place.host);
    const ids = (await listWarm(place.stateDirectory)).records.map(({ id }) => id);
    const { cellId } = await claim('adopts-meanwhile');
    const adopted: string[] = [];
    const { runtime, ...known } = place.host.runtimes[place.host.defaultRuntime];
    const slow: typeof runtime = {
      ...runtime,
      // The end of a server takes as long as a cell takes to come.
      async destroy(mark) {
        const other = ids.find((id) => id !== mark);
        if (other !== undefined && adopted.length === 0 && (await claimWarm(place.stateDirectory, other, cellId)))
          adopted.push(other);
        return await runtime.destroy(mark);
      },
    };
    const runtimes = { ...place.host.runtimes, [place.host.defaultRuntime]: { ...known, runtime: slow } };
    await tendPool({ ...place.host, runtimes }, { ...room, mayKeep: () => Promise.resolve(false) }, never);
    expect(adopted).toHaveLength(1);
    // What was started may be the sandbox yet, which takes a moment to become the server.
    await waitUntil(async () => (await serversOf(adopted[0] ?? '')).length === 1);
    expect(await listWarm(place.stateDirectory)).toEqual({ records: [], directories: adopted });
    await place.steps.teardownCell({ cellId });
    expect(await remainsOfWarm(place.stateDirectory, adopted[0] ?? '')).toEqual([]);
  });

  test('is not booted while a cell is being made', async () => {
    const { cellId } = await claim('first');
    await tendPool(place.host, room, never);
    expect(await listWarm(place.stateDirectory)).toEqual({ records: [], directories: [] });
    await place.steps.teardownCell({ cellId });
  });

  test('that does not answer is ended, and the cell boots its own', async () => {
    const mute = await bootStandIn(place.host);
    const cell = await place.spawn({ taskId: runtime, agentId: 'not-answered' });
    expect(cell.start).toBe('cold');
    expect(await remainsOfWarm(place.stateDirectory, mute.id)).toEqual([]);
    await place.steps.teardownCell({ cellId: cell.cellId });
    expect(await remainsOf(place, cell.cellId)).toEqual([]);
  });

  test('is not given to a cell that has begun to boot its own', async () => {
    const warm = await bootStandIn(place.host);
    const cell = await claim('begun');
    const { worktree } = cellPaths(place.stateDirectory, cell.cellId);
    await place.host.leases.update(cell.cellId, { state: 'spawning', worktree });
    expect((await place.steps.spawnCell(cell)).start).toBe('cold');
    await place.steps.teardownCell({ cellId: cell.cellId });
    expect((await onlyWarm(place)).id).toBe(warm.id);
    await endWarm(place.host, warm.id);
  });

  // A runtime that does not confine refuses such a request.
  if (runtime !== 'process')
    test('is not given to a cell whose sandbox has to be another', async () => {
      const warm = await bootStandIn(place.host);
      for (const own of [{ resources: { memory: '900m' } }, { network: { allow: ['localhost:9'] } }]) {
        const cell = await place.spawn({ taskId: runtime, agentId: 'of-its-own', ...own });
        expect(cell.start).toBe('cold');
        await place.steps.teardownCell({ cellId: cell.cellId });
        expect((await onlyWarm(place)).id).toBe(warm.id);
      }
      await endWarm(place.host, warm.id);
    });

  test('goes with the worktree that could not be made for its cell', async () => {
    const warm = await bootStandIn(place.host);
    const { git } = place.repository;
    await git('switch', '--quiet', '--create', 'damaged');
    await writeFile(join(place.repository.path, 'lost.txt'), 'lost');
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'With a file whose content is lost');
    const blob = await git('rev-parse', 'HEAD:lost.txt');
    await rm(join(place.repository.path, '.git/objects', blob.slice(0, 2), blob.slice(2)));
    const cell = await claim('damaged');
    const request = { ...cell.request, branch: 'damaged' };
    await expect(place.steps.spawnCell({ ...cell, request })).rejects.toThrow(/cannot read object/);
    expect(await remainsOfWarm(place.stateDirectory, warm.id)).toEqual([]);
    expect(await readdir(join(place.repository.path, '.git'))).not.toContain('worktrees');
    await place.steps.teardownCell({ cellId: cell.cellId });
    expect(await remainsOf(place, cell.cellId)).toEqual([]);
  });
}

async function unowned({ host }: CellHostUnderTest, open: boolean): Promise<unknown[]> {
  return await findUnowned(host, async () => open);
}
