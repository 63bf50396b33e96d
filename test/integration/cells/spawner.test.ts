import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellSecret } from '../../../src/cell/secret.ts';
import { type CellHandle, cellState, describeCell, startCell, workflowIdOf } from '../../../src/client.ts';
import { proveServer } from '../../../src/opencode/server.ts';
import { type CellHostUnderTest, ownerOf, startCellHost } from '../../support/cell-host.ts';
import { cells } from '../../support/cells-command.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning } from '../../support/processes.ts';
import { remainsOf } from '../../support/remains.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

const signal = new AbortController().signal;

describe('a spawned cell', () => {
  let place: CellHostUnderTest;
  let cell: Awaited<ReturnType<CellHostUnderTest['spawn']>>;

  beforeAll(async () => {
    place = await startCellHost();
    // What the caller has checked out says nothing about where a cell begins.
    await place.repository.git('switch', '--quiet', '--create', 'elsewhere');
    await place.repository.git('commit', '--quiet', '--allow-empty', '--message', 'Elsewhere');
    cell = await place.spawn();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('has a worktree, a server on a port of the range, and a lease that names them', async () => {
    expect(cell.port).toBeGreaterThanOrEqual(9000);
    expect(cell.port).toBeLessThanOrEqual(9999);
    expect(await readFile(join(cell.worktree, 'README.md'), 'utf8')).toBe('# A repository\n');
    const found = await place.host.leases.read(cell.cellId);
    expect(found).toMatchObject({
      kind: 'lease',
      lease: { state: 'ready', port: cell.port, worktree: cell.worktree, baseCommit: cell.baseCommit },
    });
  });

  test('begins at the branch main unless the request names another', () => {
    expect(cell.request.branch).toBe('main');
    expect(cell.baseCommit).toBe(place.repository.commit);
  });

  test('says that it is healthy by proving that it is ours', async () => {
    const password = await cellSecret(place.stateDirectory, cell.cellId);
    const address = { port: cell.port, password, worktree: cell.worktree };
    expect(await proveServer(address, signal)).toBe(cell.versions.opencode);
  });

  test('is not taken for healthy with a wrong password, or with another worktree', async () => {
    const password = await cellSecret(place.stateDirectory, cell.cellId);
    const address = { port: cell.port, password, worktree: cell.worktree };
    await expect(proveServer({ ...address, password: 'wrong' }, signal)).rejects.toThrow('does not take our password');
    await expect(proveServer({ ...address, worktree: '/' }, signal)).rejects.toThrow('works in');
  });

  test('keeps its secret and its lease from others', async () => {
    const paths = cellPaths(place.stateDirectory, cell.cellId);
    const modes = await Promise.all(
      [paths.directory, paths.lease, paths.secret, paths.serverLog].map((path) => stat(path)),
    );
    expect(modes.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(['700', '600', '600', '600']);
  });

  test('leaves nothing after its teardown, and a second teardown finds nothing to do', async () => {
    const { cellId, port } = cell;
    expect(await remainsOf(place, cellId, port)).not.toEqual([]);
    const first = await place.steps.teardownCell({ cellId });
    expect(first).toEqual({ released: ['process', 'port', 'worktree', 'home', 'lease'], alreadyGone: [] });
    expect(await remainsOf(place, cellId, port)).toEqual([]);
    const second = await place.steps.teardownCell({ cellId });
    expect(second).toEqual({ released: [], alreadyGone: ['process', 'port', 'worktree', 'home', 'lease'] });
  });

  test('whose server is stopped or killed is not taken for healthy, and is made anew by a second spawn', async () => {
    const { cellId, request } = await place.spawn({ agentId: 'unhealthy' });
    const owner = ownerOf(request);
    for (const kill of ['SIGSTOP', 'SIGKILL'] as const) {
      const before = await place.steps.spawnCell({ owner, cellId, request });
      const pid = await serverIn(place.stateDirectory, cellId);
      const password = await cellSecret(place.stateDirectory, cellId);
      process.kill(pid, kill);
      await expect(proveServer({ ...before, password }, AbortSignal.timeout(1_000))).rejects.toThrow();
      await place.steps.spawnCell({ owner, cellId, request });
      expect(await serverIn(place.stateDirectory, cellId)).not.toBe(pid);
      expect(await isRunning(pid)).toBe(false);
    }
    await place.steps.teardownCell({ cellId });
    expect(await remainsOf(place, cellId)).toEqual([]);
  });
});

test('a cell whose work is committed ends its agent, before anybody asks for the teardown', async () => {
  await using place = await startCellHost();
  const { cellId, worktree } = await place.spawn();
  const pid = await serverIn(place.stateDirectory, cellId);
  await writeFile(join(worktree, 'answer.txt'), 'right');
  const tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0, total: 0 };
  const work = { cellId, tree: null, protectedPaths: [], commitMessage: null, summary: '', tokens };
  expect(await place.steps.commitWork(work)).toMatchObject({ kind: 'committed' });
  await waitUntil(async () => !(await isRunning(pid)));
  // What was ended ahead is still told as what the teardown released.
  expect((await place.steps.teardownCell({ cellId })).released).toContain('process');
  expect(await remainsOf(place, cellId)).toEqual([]);
});

test('a teardown of what never was succeeds, and makes nothing', async () => {
  await using place = await startCellHost();
  const cellId = 'feedfacefeedface';
  const report = await place.steps.teardownCell({ cellId });
  expect(report.released).toEqual([]);
  expect(await remainsOf(place, cellId)).toEqual([]);
});

describe('a cell in the hands of a worker', () => {
  let fleet: Fleet;
  beforeAll(async () => void (fleet = await startFleet({ scripts: unhurriedScripts })));
  afterAll(() => fleet[Symbol.asyncDispose]());

  test.for([
    ['agentId', { taskId: 'task', prompt: 'Do it.' }],
    ['taskId', { agentId: 'agent', prompt: 'Do it.' }],
  ] as const)(
    'is refused without %s, by the client and by the workflow, before anything is made',
    async ([field, request]) => {
      // What a caller in another language, or one that does not check its types, can send.
      const untyped = request as unknown as Parameters<typeof startCell>[1];
      await expect(startCell(fleet.client, untyped)).rejects.toThrow(field);
      const started = fleet.client.workflow.execute('agentCell', {
        workflowId: `without-${field}`,
        taskQueue: 'agent-cells',
        args: [request],
      });
      const error: unknown = await started.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(WorkflowFailedError);
      expect(error).toMatchObject({ cause: { type: 'InvalidCellRequest', message: expect.stringContaining(field) } });
      expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
    },
  );

  test('can be read while it works and after it has ended', async () => {
    const request = { testCommand: 'cat shared.txt', labels: { team: 'blue' }, env: { CELL_NAME: 'one' } };
    const cell = await fleet.start('by-one', request);
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    const state = await cellState(fleet.client, cell.workflowId);
    expect(state).toMatchObject({
      lifecycle: 'processing',
      step: 'execute',
      cell: { cellId, host: fleet.hostId, port: lease?.port, worktree: lease?.worktree },
    });
    expect(await describeCell(fleet.client, cell.workflowId)).toMatchObject({
      outcome: null,
      labels: { team: 'blue' },
      state: { cell: { cellId } },
    });
    const shown = await cells(fleet.env, 'show', 'task/by-one', '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({ outcome: null, state: { cell: { cellId } } });

    await letGoOn(fleet.stateDirectory, cellId);
    const result = await cell.result();
    expect(result).toMatchObject({ status: 'committed', cellId, agentId: 'by-one', taskId: 'task' });
    const logs = async (which: string) => (await cells(fleet.env, 'logs', 'task/by-one', which)).stdout;
    expect(await logs('--test')).toBe('one\none again');
    expect(await logs('--diff')).toContain('+one again');
    expect(await logs('--server')).toContain('listening');
    expect(await logs('--transcript')).toContain('I am done.');
    const after = await cells(fleet.env, 'show', 'task/by-one', '--json');
    expect(JSON.parse(after.stdout)).toMatchObject({ outcome: { status: 'committed', commit: result.commit } });
  });

  test('that nobody knows is a clear error, in the client and on the command line', async () => {
    const unknown = workflowIdOf({ taskId: 'no', agentId: 'body' });
    await expect(describeCell(fleet.client, unknown)).rejects.toMatchObject({ code: 'CellNotFound' });
    for (const command of ['show', 'logs', 'cancel']) {
      const { exitCode, stderr } = await cells(fleet.env, command, 'no/body');
      expect({ command, exitCode }).toEqual({ command, exitCode: 2 });
      expect(stderr).toContain('no/body');
      expect(stderr).not.toContain('should not happen');
    }
  });

  test('measures each part of its life, and the parts add up to the whole', async () => {
    const cell = await fleet.start('by-another', { testCommand: 'grep -q again shared.txt', env: { GO: '1' } });
    const { metrics } = await cell.result();
    const { totalMs, queueMs, ...parts } = metrics;
    expect(Object.keys(parts).toSorted()).toEqual(['commitMs', 'executionMs', 'spawnMs', 'teardownMs', 'testMs']);
    for (const [part, duration] of Object.entries(parts)) expect(duration, part).toBeGreaterThan(0);
    expect(queueMs + Object.values(parts).reduce((sum, part) => sum + part, 0)).toBe(totalMs);
    const { start, end } = await times(fleet, cell);
    // The workflow ends with its last task, a moment after the teardown.
    expect(totalMs).toBeLessThanOrEqual(end - start);
    expect(end - start - totalMs).toBeLessThan(5_000);
  });

  test('is noticed when its server hangs, and goes on with another one', { timeout: 300_000 }, async () => {
    const cell = await fleet.start('by-a-third', { env: { CELL_NAME: 'hung' } });
    const [lease] = await untilAgentsWait(fleet.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    const hung = await serverIn(fleet.stateDirectory, cellId);
    process.kill(hung, 'SIGSTOP');
    await letGoOn(fleet.stateDirectory, cellId);
    expect(await cell.result()).toMatchObject({ status: 'committed', cellId, respawns: 0 });
    const { history } = await cellState(fleet.client, cell.workflowId);
    expect(history.map(({ lifecycle }) => lifecycle)).toEqual(expect.arrayContaining(['error', 'recovering']));
    expect(await isRunning(hung)).toBe(false);
    expect(await remainsOf(fleet, cellId, lease?.port ?? 0)).toEqual([]);
  });
});

async function times(fleet: Fleet, { workflowId, runId }: CellHandle): Promise<{ start: number; end: number }> {
  const { startTime, closeTime } = await fleet.client.workflow.getHandle(workflowId, runId).describe();
  return { start: startTime.getTime(), end: closeTime?.getTime() ?? Number.NaN };
}
