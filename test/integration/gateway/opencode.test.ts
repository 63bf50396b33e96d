import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AssistantMessage } from '@opencode-ai/sdk/v2/types';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cellPaths } from '../../../src/cell/paths.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import type { CellAccount } from '../../../src/gateway/gateway.ts';
import type { ModelGateway } from '../../../src/gateway/model-gateway.ts';
import { providersBehindGateway } from '../../../src/opencode/gateway-config.ts';
import { modelRoutes } from '../../../src/opencode/model-routes.ts';
import { opencodeProvider, scriptedModelId } from '../../../src/scripted-model/opencode-provider.ts';
import type { ScriptsInput } from '../../../src/scripted-model/script.ts';
import { type ScriptedModel, startScriptedModel } from '../../../src/scripted-model/server.ts';
import { connectSupervisor } from '../../../src/supervisor/client.ts';
import { supervisedGateway } from '../../../src/supervisor/supervised-gateway.ts';
import { realKey } from '../../support/gateway.ts';
import { type OpencodeServer, startOpencodeServer } from '../../support/opencode-server.ts';
import { processesMarked } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type TemporaryRepository, temporaryRepository } from '../../support/temporary-repository.ts';
import { waitUntil } from '../../support/wait-until.ts';

const writes = {
  tool: 'write',
  arguments: { filePath: '{{worktree}}/answer.txt', content: 'right\n' },
};
const scripts: ScriptsInput = {
  works: {
    rounds: [
      {
        turns: [
          { reasoning: 'It has to be right.', calls: [writes], usage: { input: 1000, output: 50, reasoning: 40 } },
          { text: 'I wrote it.', usage: { input: 100, output: 10, cacheRead: 1300, reasoning: 5 } },
        ],
      },
    ],
  },
  limited: {
    rounds: [
      {
        turns: [
          { calls: [writes], usage: { input: 10, output: 5 }, error: { status: 429, retryAfter: 1, times: 1 } },
          { text: 'I wrote it.', usage: { input: 10, output: 5 } },
        ],
      },
    ],
  },
  greedy: {
    repeat: 'last-turn',
    rounds: [{ turns: [{ calls: [writes], usage: { input: 9_000, output: 1_000 } }] }],
  },
};

/** The real OpenCode, behind the gateway of a real supervisor, before the scripted model. */
const owned = new AsyncDisposableStack();
const cellId = randomBytes(8).toString('hex');
let stateDirectory: string;
let model: ScriptedModel;
let gateway: ModelGateway;
let opencode: OpencodeServer;
let repository: TemporaryRepository;

beforeAll(async () => {
  repository = owned.use(await temporaryRepository());
  model = owned.use(await startScriptedModel({ scripts }));
  stateDirectory = owned.use(await temporaryDirectory()).path;
  const supervisor = owned.use(await connectSupervisor(stateDirectory));
  const { pid } = await supervisor.info();
  owned.defer(async () => {
    await supervisor.stop({ force: true });
    await waitUntil(() => !existsSync(`/proc/${pid}`));
  });
  gateway = supervisedGateway(supervisor);
  const given = opencodeProvider(model.url);
  const scripted = { ...given.provider.scripted, options: { ...given.provider.scripted.options, apiKey: realKey } };
  const base = { provider: { scripted } };
  const routes = await modelRoutes(base, scriptedModelId, { variables: {}, directory: null });
  await mkdir(cellPaths(stateDirectory, cellId).directory, { recursive: true });
  const door = await gateway.open({ cellId, tokenBudget: 60_000, routes });
  if (door.kind !== 'loopback') throw new Error('without a word of the door it is a port');
  opencode = owned.use(
    await startOpencodeServer({
      ...providersBehindGateway(base, routes, { url: `http://127.0.0.1:${door.port}`, token: door.token }),
      model: scriptedModelId,
      small_model: scriptedModelId,
      permission: { '*': 'allow', question: 'deny', external_directory: 'deny', webfetch: 'deny' },
    }),
  );
});
afterAll(() => owned.disposeAsync());
beforeEach(() => model.clearLedger());

async function account(): Promise<CellAccount> {
  const [only] = (await gateway.state()).accounts;
  if (only?.cellId !== cellId) throw new Error('the door of the cell is not open');
  return only;
}

async function prompt(script: string): Promise<AssistantMessage> {
  const client = opencode.client(repository.path);
  const { data: session } = await client.session.create({ title: script }, { throwOnError: true });
  const parts = [{ type: 'text' as const, text: `Do it. [script: ${script}]` }];
  return (await client.session.prompt({ sessionID: session.id, parts }, { throwOnError: true })).data.info;
}

const counted = () => model.ledger().reduce((sum, { usage }) => sum + (usage?.total ?? 0), 0);

describe('OpenCode behind the gateway', () => {
  test('does its work, and the account equals what the provider counted, to the token', async () => {
    expect((await prompt('works')).finish).toBe('stop');
    expect(await readFile(join(repository.path, 'answer.txt'), 'utf8')).toBe('right\n');
    await waitUntil(async () => (await account()).active === 0);
    const { tokens, estimatedTokens, budget } = await account();
    expect(tokens).toMatchObject({ input: 1_100, output: 60, cacheRead: 1_300, reasoning: 45 });
    expect([tokens.total, estimatedTokens, budget.used]).toEqual([counted(), 0, counted()]);
  });

  test('has the key nowhere: not in its environment, and not in what lies on the disk', async () => {
    const processes = await processesMarked(cellMarker, opencode.marker);
    expect(processes.length).toBeGreaterThan(0);
    for (const { pid } of processes) {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      expect(environment).toContain('OPENCODE_CONFIG_CONTENT');
      expect(environment).not.toContain(realKey);
    }
    for (const file of [cellPaths(stateDirectory, cellId).modelLedger, join(stateDirectory, 'supervisor.log')])
      expect(await readFile(file, 'utf8')).not.toContain(realKey);
  });

  test('does not notice that its provider wanted to be left alone for a while', async () => {
    const message = prompt('limited');
    await waitUntil(async () => (await account()).waiting?.model === 'scripted/default');
    expect((await message).finish).toBe('stop');
    // The first try of the first turn, its second, and the second turn.
    expect(model.ledger().map(({ turn, try: number, outcome }) => [turn, number, outcome])).toEqual([
      [1, 1, 'error'],
      [1, 2, 'finished'],
      [2, 1, 'finished'],
    ]);
    expect((await gateway.state()).models).toMatchObject([{ model: 'scripted/default', cooldowns: 1 }]);
  });

  test('is told at once when its budget is spent, asks no second time, and goes on when it is raised', async () => {
    const refused = async () => (await gateway.state()).models[0]?.requests.refused;
    const message = await prompt('greedy');
    expect(message.error).toMatchObject({
      name: 'APIError',
      data: {
        statusCode: 402,
        isRetryable: false,
        message: expect.stringContaining('token budget of this cell is spent'),
      },
    });
    expect(await refused()).toBe(1);
    const { budget } = await account();
    expect(budget).toMatchObject({ total: 60_000, reserved: 0 });
    // The next request would not have fitted any more; the last that was let in may have gone over.
    expect(budget.used).toBeLessThan(60_000 + 10_000);
    await gateway.extend(cellId, 200_000);
    expect((await account()).refused).toBe(false);
    expect((await prompt('works')).finish).toBe('stop');
  });
});
