import { readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cellSecret } from '../../../src/cell/secret.ts';
import { serverPlace } from '../../../src/cell/server-place.ts';
import { cellState } from '../../../src/client.ts';
import { type AuditLine, auditFile, readAudit } from '../../../src/journal/audit.ts';
import { startCells } from '../../support/cells-command.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { realKey } from '../../support/gateway.ts';
import { waitUntil } from '../../support/wait-until.ts';

const limits = { timeout: 300_000 };

let fleet: Fleet;
beforeAll(async () => {
  fleet = await startFleet({ env: { CELLS_MODEL_GATEWAY: 'on', CELLS_RUNTIME: 'process', SCRIPTED_API_KEY: realKey } });
}, 300_000);
afterAll(() => fleet?.[Symbol.asyncDispose]());

describe('the audit log of a host', () => {
  test('has who started a cell, what it was granted, and its end', limits, async () => {
    const cell = await fleet.start('edit-file', { tokenBudget: 70_000, env: { GREETING: 'good-morning' } });
    await cell.result();
    const { cellId } = (await cellState(fleet.client, cell.workflowId)).cell;
    const { workflowId, runId } = cell;
    const lines = await linesOf(({ cellId: of, mark }) => of === cellId || mark === cellId);
    expect(lines.filter(({ event }) => event !== 'killed')).toMatchObject([
      {
        event: 'started',
        by: 'worker',
        cellId,
        workflowId,
        runId,
        request: expect.stringMatching(/^[0-9a-f]{64}$/),
        repository: fleet.repository.path,
        branch: 'main',
        runtime: 'process',
        model: 'scripted/default',
        agentType: 'worker',
      },
      { event: 'granted', what: 'model', by: 'supervisor', models: ['scripted/default'], tokenBudget: 0 },
      { event: 'granted', what: 'budget', by: 'supervisor', tokenBudget: 70_000 },
      { event: 'ended', by: 'worker', workflowId, runId, released: expect.arrayContaining(['process', 'lease']) },
    ]);
    expect(lines.filter(({ event }) => event === 'killed')).toMatchObject([{ by: 'supervisor', mark: cellId }]);
  });

  test('has a budget that was raised, and requests to the gateway that were refused', limits, async () => {
    const cell = await fleet.start('endless', { agentId: 'audited', tokenBudget: 500_000 });
    await waitUntil(() => asked('endless'), 120_000);
    const { cellId } = (await cellState(fleet.client, cell.workflowId)).cell;
    if (cellId === null) throw new Error('a cell at work has an id');
    const password = await cellSecret(fleet.stateDirectory, cellId);
    await fleet.client.workflow.getHandle(cell.workflowId).executeUpdate('extend', { args: [{ tokens: 1_000 }] });
    const config = await readFile((await serverPlace(fleet.stateDirectory, cellId)).config, 'utf8');
    const door = /"baseURL":"(http:\/\/127\.0\.0\.1:\d+)/.exec(config)?.[1];
    const headers = { authorization: 'Bearer another-cell' };
    for (let knock = 0; knock < 5; knock += 1) {
      const answer = await fetch(`${door}/scripted/v1/chat/completions`, { method: 'POST', headers, body: '{}' });
      expect(answer.status).toBe(401);
    }
    await fleet.client.workflow.getHandle(cell.workflowId).signal('abort', { reason: 'seen enough' });
    await cell.result();
    const lines = await linesOf(({ cellId: of }) => of === cellId);
    expect(lines).toContainEqual(expect.objectContaining({ event: 'granted', what: 'budget', tokenBudget: 501_000 }));
    const refused = lines.filter(({ event }) => event === 'refused');
    expect(refused).toMatchObject([
      { what: 'model-request', code: 'unauthorized', count: 1 },
      { what: 'model-request', code: 'unauthorized', count: 4 },
    ]);
    const text = await readFile(auditFile(fleet.stateDirectory), 'utf8');
    for (const secret of [password, realKey, 'another-cell', '[script:', 'good-morning'])
      expect(text).not.toContain(secret);
    expect((await stat(auditFile(fleet.stateDirectory))).mode & 0o777).toBe(0o600);
  });

  test('has what a host refused to make, and which field was to blame', limits, async () => {
    const refused = await Promise.all([
      fleet.start('edit-file', { agentId: 'walled', network: 'none' }),
      fleet.start('edit-file', { agentId: 'thief', repository: 'https://user:hunter22@git.example/secret' }),
    ]);
    for (const cell of refused) await cell.result().catch(() => undefined);
    const [walled, thief] = refused;
    expect(await linesOf(({ event, runId }) => event === 'refused' && runId === walled?.runId)).toMatchObject([
      { what: 'request', workflowId: walled?.workflowId, field: 'network', why: expect.stringContaining('process') },
    ]);
    expect(await linesOf(({ event, runId }) => event === 'refused' && runId === thief?.runId)).toMatchObject([
      { what: 'repository', field: 'repository', why: expect.stringContaining('https://git.example/secret is not') },
    ]);
    expect(await readFile(auditFile(fleet.stateDirectory), 'utf8')).not.toContain('hunter22');
  });

  test('has what was reaped and why, and is printed by cells audit', limits, async () => {
    const cell = await fleet.start('endless', { agentId: 'terminated', tokenBudget: 500_000 });
    const before = fleet.model.ledger().length;
    await waitUntil(() => fleet.model.ledger().length > before, 120_000);
    const { cellId } = (await cellState(fleet.client, cell.workflowId)).cell;
    await fleet.client.workflow.getHandle(cell.workflowId).terminate();
    await fleet.worker.end();
    await fleet.startWorker();
    const reaped = await linesOf(({ event, cellId: of }) => event === 'reaped' && of === cellId);
    expect(reaped).toMatchObject([
      { resource: 'cell', why: `its workflow ${cell.workflowId} has ended`, released: true },
    ]);
    const json = await startCells(fleet.env, ['audit', '--since', '1h', '--json']);
    expect(json.stdout.split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(await linesOf(() => true));
    const text = await startCells(fleet.env, ['audit']);
    expect(text.stdout).toMatch(new RegExp(`reaped +${cellId} .*resource=cell why=its workflow`));
    expect(await linesOf(({ event }) => event === 'worker')).toMatchObject([
      { state: 'started', runtime: 'process' },
      { state: 'stopped' },
      { state: 'started' },
    ]);
  });
});

const asked = (script: string): boolean => fleet.model.ledger().some((entry) => entry.script === script);

async function linesOf(wanted: (line: AuditLine) => boolean): Promise<AuditLine[]> {
  return (await readAudit(fleet.stateDirectory, 0)).filter(wanted);
}
