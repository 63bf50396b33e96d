import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import type { CellHandle } from '../../../src/client.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { startCells } from '../../support/cells-command.ts';
import { nothingLeft } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import type { FleetHost } from '../../support/fleet-host.ts';
import { leasesIn, serverIn } from '../../support/host-state.ts';
import { isRunning } from '../../support/processes.ts';
import { places, turnsOf } from '../../support/turns.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';
import { waitUntil } from '../../support/wait-until.ts';

const env = { CELLS_HOST_LOST_AFTER: '20s', CELLS_CAPACITY: '2' };

describe('two hosts that share a fleet of cells', { timeout: 600_000 }, () => {
  let fleet: Fleet;
  let other: FleetHost;
  let twin: ReturnType<typeof startCells>;
  beforeAll(async () => {
    fleet = await startFleet({ scripts: unhurriedScripts, env });
    other = await fleet.addHost();
    twin = startCells({ ...other.env, CELLS_STATE_DIR: `${other.stateDirectory}-twin` }, ['worker']);
  }, 600_000);
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('bring all verdicts when one of them is lost for good', async () => {
    const cells = await Promise.all(
      ['a', 'b', 'c', 'd'].map((agentId) => fleet.start('by-one', { agentId, env: { CELL_NAME: agentId } })),
    );
    await untilAgentsWait(fleet.stateDirectory, 2);
    await untilAgentsWait(other.stateDirectory, 2);
    await kill(other);
    for (const respawns of [0, 1]) {
      for (const { cellId } of await untilAgentsWait(fleet.stateDirectory, 2))
        await letGoOn(fleet.stateDirectory, cellId);
      await waitUntil(async () => (await committed(fleet, cells, respawns)) === 2, 300_000);
    }
    for (const cell of cells) await expectOneCommit(fleet, cell);
  });

  test('share on when it comes back, and it ends what is no longer its own before it claims anything', async () => {
    expect(await leasesIn(other.stateDirectory)).toHaveLength(2);
    await other.startWorker();
    await nothingLeft({ ...fleet, ...other });
    // Now only its worker ends: the agent of its cell works on, while the cell is made anew.
    const { cell, cellId, server } = await atWorkOnOther('orphaned');
    await other.worker.end('SIGKILL');
    await fleet.startWorker();
    const [anew] = await untilAgentsWait(fleet.stateDirectory, 1);
    await letGoOn(fleet.stateDirectory, anew?.cellId ?? '');
    expect(await cell.result()).toMatchObject({ status: 'committed', host: fleet.hostId, respawns: 1 });
    expect(await isRunning(server)).toBe(true);
    // A cell waits for the host that comes back.
    await fleet.worker.end();
    const next = await fleet.start('by-another', { env: { CELL_NAME: 'next', GO: '1' } });
    const worker = await other.startWorker();
    expect(await isRunning(server)).toBe(false);
    const lines = worker.log().split('\n');
    const at = (text: string) => lines.findIndex((line) => line.includes(text));
    expect(at(`"cellId":"${cellId}"`)).toBeLessThan(at('the worker serves cells'));
    expect(at(`"cellId":"${cellId}"`)).toBeGreaterThanOrEqual(0);
    expect(await next.result()).toMatchObject({ status: 'committed', host: other.hostId, respawns: 0 });
    expect(await readdir(cellPaths(other.stateDirectory, cellId).artifacts)).toContain('server.log');
    await expectOneCommit(fleet, cell);
  });

  test('leave a cell to the one that has it now, when the other was frozen and wakes', async () => {
    const earlier = turnsOf(fleet.model, 'by-another').length;
    const { cell, cellId } = await atWorkOnOther('frozen');
    await fleet.startWorker();
    other.worker.signal('SIGSTOP');
    try {
      // Its agent comes to the end, so that it wakes at a step that could go on.
      await letGoOn(other.stateDirectory, cellId);
      await untilAgentsWait(fleet.stateDirectory, 1);
      const ofBoth = turnsOf(fleet.model, 'by-another').slice(earlier);
      expect(places(ofBoth).toSorted()).toEqual(['1.1', '1.1', '1.2', '1.3']);
    } finally {
      other.worker.signal('SIGCONT');
    }
    const [anew] = await untilAgentsWait(fleet.stateDirectory, 1);
    await letGoOn(fleet.stateDirectory, anew?.cellId ?? '');
    expect(await cell.result()).toMatchObject({ status: 'committed', host: fleet.hostId, respawns: 1 });
    await expectOneCommit(fleet, cell);
    await waitUntil(async () => (await leasesIn(other.stateDirectory)).length === 0, 180_000);
    await nothingLeft({ ...fleet, ...other });
  });

  test('are not one host by mistake: a worker refuses a host id that another state directory serves', async () => {
    const { exitCode, stderr } = await twin;
    expect(stderr).toContain(`another worker with another state directory serves the host id ${other.hostId}`);
    expect(exitCode).toBe(2);
  });

  /** A cell at work on the other host, which is the only one with a worker then. */
  async function atWorkOnOther(agentId: string): Promise<{ cell: CellHandle; cellId: string; server: number }> {
    await fleet.worker.end();
    const cell = await fleet.start('by-another', { agentId, env: { CELL_NAME: agentId } });
    const [lease] = await untilAgentsWait(other.stateDirectory, 1);
    const cellId = lease?.cellId ?? '';
    return { cell, cellId, server: await serverIn(other.stateDirectory, cellId) };
  }
});

/** The worker and the supervisor of a host, and so every process of its cells. */
async function kill(host: FleetHost): Promise<void> {
  await using supervisor = await connectSupervisor(host.stateDirectory);
  const { pid } = await supervisor.info();
  await host.worker.end('SIGKILL');
  process.kill(pid, 'SIGKILL');
}

/** How many of these cells were committed after so many respawns. */
async function committed({ client }: Fleet, cells: readonly CellHandle[], respawns: number): Promise<number> {
  const ended = await Promise.all(
    cells.map(async ({ workflowId }) => {
      const handle = client.workflow.getHandle(workflowId);
      if ((await handle.describe()).status.name !== 'COMPLETED') return null;
      return (await handle.result()) as { status: string; respawns: number }; // what the contract says
    }),
  );
  return ended.filter((result) => result?.status === 'committed' && result.respawns === respawns).length;
}

/** The work is on its branch, once, and no branch was ever moved. */
async function expectOneCommit({ repository }: Fleet, cell: CellHandle): Promise<void> {
  const { commit, branch } = await cell.result();
  expect(await repository.git('rev-parse', `refs/heads/${branch}`)).toBe(commit);
  expect(await repository.git('rev-list', '--count', `main..${branch}`)).toBe('1');
  expect(await repository.git('for-each-ref', 'refs/cells/superseded')).toBe('');
}
