import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Lease } from '../../../src/cell/lease.ts';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellSecret } from '../../../src/cell/secret.ts';
import { type CellHandle, cancelCell, outcomeOf } from '../../../src/client.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import { connectServer } from '../../../src/opencode/server.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { leasesIn } from '../../support/host-state.ts';
import { listeners } from '../../support/listeners.ts';
import { processesMarked } from '../../support/processes.ts';
import { remainsOf } from '../../support/remains.ts';
import { letGoOn, unhurriedScripts, untilAgentsWait } from '../../support/unhurried.ts';

const names = ['by-one', 'by-another', 'by-a-third'] as const;

interface Cell {
  name: string;
  lease: Lease;
  port: number;
  worktree: string;
  sessionId: string;
  password: string;
}

describe('cells that are at work at the same time', () => {
  let fleet: Fleet;
  let handles: CellHandle[];
  let cells: Cell[];

  beforeAll(async () => {
    fleet = await startFleet({ scripts: unhurriedScripts });
    handles = await Promise.all(
      names.map((name) => fleet.start(name, { env: { CELL_NAME: name }, testCommand: 'cat shared.txt' })),
    );
    const leases = await untilAgentsWait(fleet.stateDirectory, names.length);
    cells = await Promise.all(leases.map((lease) => cellOf(fleet, lease)));
  }, 360_000);
  afterAll(() => fleet[Symbol.asyncDispose]());

  test('each have a worktree, a home, a port, a session, a password and processes of their own', async () => {
    for (const key of ['port', 'worktree', 'sessionId', 'password'] as const)
      expect(new Set(cells.map((cell) => cell[key])).size, key).toBe(names.length);
    for (const { name, lease } of cells) {
      const processes = await processesMarked(cellMarker, lease.cellId);
      const homes = processes.flatMap(({ environment }) => environment.filter((entry) => entry.startsWith('HOME=')));
      expect(new Set(homes)).toEqual(new Set([`HOME=${cellPaths(fleet.stateDirectory, lease.cellId).home}`]));
      expect(
        processes.map(({ command }) => command),
        name,
      ).toContain('sleep 600');
    }
  });

  test('see their own files alone', async () => {
    for (const { name, worktree } of cells) {
      expect(await readFile(join(worktree, 'shared.txt'), 'utf8')).toBe(`${name}\n`);
      expect(await readFile(join(worktree, 'seen.txt'), 'utf8')).toBe('README.md\nseen.txt\nshared.txt\n');
    }
    expect(await fleet.repository.git('status', '--porcelain')).toBe('');
  });

  test('have servers that listen on loopback alone, and refuse strangers and the passwords of the others', async () => {
    const listening = await listeners();
    for (const { port } of cells) {
      expect(listening.filter((listener) => listener.port === port)).toMatchObject([{ loopback: true }]);
      const answers = await Promise.all(cells.map((other) => statusOf(port, other.password)));
      expect(answers).toEqual(cells.map((other) => (other.port === port ? 200 : 401)));
      expect(await statusOf(port, null)).toBe(401);
    }
  });

  test('have one session each, which the servers of the others do not know', async () => {
    for (const cell of cells) {
      const client = connectServer(cell);
      const sessions = await client.session.list();
      expect(sessions.data?.map(({ id }) => id)).toEqual([cell.sessionId]);
      for (const other of cells.filter(({ sessionId }) => sessionId !== cell.sessionId)) {
        const found = await client.session.get({ sessionID: other.sessionId });
        expect(found.response?.status).toBe(404);
      }
    }
  });

  test('keep their passwords out of logs, transcripts, the workflow and what others may read of processes', async () => {
    const secrets = cells.map(({ password }) => password);
    const log = fleet.worker.log();
    for (const { name, lease } of cells) {
      const serverLog = await readFile(cellPaths(fleet.stateDirectory, lease.cellId).serverLog, 'utf8');
      const { workflowId, runId } = lease.owner;
      const history = JSON.stringify(await fleet.client.workflow.getHandle(workflowId, runId).fetchHistory());
      const commands = (await processesMarked(cellMarker, lease.cellId)).map(({ command }) => command).join('\n');
      for (const secret of secrets)
        expect({ name, told: [log, serverLog, history, commands].some((text) => text.includes(secret)) }).toEqual({
          name,
          told: false,
        });
    }
  });

  test('end one by one: what is cancelled takes nothing of the others with it', { timeout: 240_000 }, async () => {
    const [first, ...others] = handles;
    if (first === undefined) throw new Error('no cell was started');
    await cancelCell(fleet.client, first.workflowId);
    expect(await outcomeOf(first)).toMatchObject({ kind: 'failure', failure: { type: 'Cancelled' } });
    const gone = cells.find(({ name }) => name === names[0]);
    expect(await remainsOf(fleet, gone?.lease.cellId ?? '', gone?.port)).toEqual([]);
    for (const { lease } of cells.filter((cell) => cell !== gone)) await letGoOn(fleet.stateDirectory, lease.cellId);
    for (const [index, other] of others.entries()) {
      const name = names[index + 1];
      const result = await other.result();
      expect(result).toMatchObject({ status: 'committed', tests: { outputTail: `${name}\n${name} again\n` } });
      expect(await fleet.repository.git('show', `${result.commit}:shared.txt`)).toBe(`${name}\n${name} again`);
    }
    expect(await leasesIn(fleet.stateDirectory)).toEqual([]);
  });
});

async function cellOf(fleet: Fleet, lease: Lease): Promise<Cell> {
  const { port, worktree, sessionId } = lease;
  if (port === null || worktree === null || sessionId === null) throw new Error('the cell is not at work');
  const password = await cellSecret(fleet.stateDirectory, lease.cellId);
  return { name: lease.owner.agentId, lease, port, worktree, sessionId, password };
}

async function statusOf(port: number, password: string | null): Promise<number> {
  const headers = password === null ? {} : { authorization: `Basic ${btoa(`opencode:${password}`)}` };
  const answer = await fetch(`http://127.0.0.1:${port}/global/health`, { headers });
  await answer.body?.cancel();
  return answer.status;
}
