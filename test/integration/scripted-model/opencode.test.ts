import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OpencodeClient } from '@opencode-ai/sdk/v2/client';
import type { AssistantMessage } from '@opencode-ai/sdk/v2/types';
import waitFor from 'p-wait-for';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../src/scripted-model/ledger.ts';
import { opencodeProvider, scriptedModelId } from '../../../src/scripted-model/opencode-provider.ts';
import { startScriptedModel, type ScriptedModel } from '../../../src/scripted-model/server.ts';
import { startOpencodeServer, type OpencodeServer } from '../../support/opencode-server.ts';
import { processesMarked } from '../../support/processes.ts';
import { temporaryRepository, type TemporaryRepository } from '../../support/temporary-repository.ts';
import { cellMarker } from '../../../src/domain/names.ts';

const suite = fileURLToPath(new URL('../../fixtures/scripts/suite.yaml', import.meta.url));

const owned = new AsyncDisposableStack();
let model: ScriptedModel;
let opencode: OpencodeServer;
/** One for all sessions, since OpenCode takes seconds for each new directory; clean before each test. */
let repository: TemporaryRepository;

beforeAll(async () => {
  repository = owned.use(await temporaryRepository());
  model = owned.use(await startScriptedModel({ file: suite }));
  const { provider } = opencodeProvider(model.url);
  const options = { ...provider.scripted.options, headerTimeout: 1500, chunkTimeout: 1500 };
  opencode = owned.use(
    await startOpencodeServer({
      provider: { scripted: { ...provider.scripted, options } },
      model: scriptedModelId,
      small_model: scriptedModelId,
      permission: { '*': 'allow', question: 'deny', external_directory: 'deny', webfetch: 'deny' },
    }),
  );
});
afterAll(() => owned.disposeAsync());
beforeEach(async () => {
  model.clearLedger();
  await repository.git('reset', '--quiet', '--hard', repository.commit);
  await repository.git('clean', '--quiet', '-d', '--force');
});

interface Session extends AsyncDisposable {
  id: string;
  client: OpencodeClient;
  /** Sends a prompt and waits for the end of the turn. */
  prompt(text: string): Promise<AssistantMessage>;
}

async function openSession(title: string | null = 'A session'): Promise<Session> {
  const client = opencode.client(repository.path);
  const created = await client.session.create(title === null ? {} : { title }, { throwOnError: true });
  const sessionID = created.data.id;
  return {
    id: sessionID,
    client,
    async prompt(text) {
      const answer = await client.session.prompt(
        { sessionID, parts: [{ type: 'text', text }] },
        { throwOnError: true },
      );
      return answer.data.info;
    },
    async [Symbol.asyncDispose]() {
      await client.session.abort({ sessionID });
    },
  };
}

const answer = (): Promise<string> => readFile(join(repository.path, 'answer.txt'), 'utf8');

const turns = (): LedgerEntry[] => model.ledger().filter(({ kind }) => kind === 'turn');

const places = (): (number | string | null)[][] =>
  turns().map(({ round, turn, try: number, outcome }) => [round, turn, number, outcome]);

/** What OpenCode counted, over all messages of a session. */
async function tokensOf({ client, id }: Session): Promise<Record<string, number>> {
  const messages = await client.session.messages({ sessionID: id }, { throwOnError: true });
  const counts = messages.data.flatMap(({ info }) => (info.role === 'assistant' ? [info.tokens] : []));
  const sum = (count: (tokens: AssistantMessage['tokens']) => number) =>
    counts.reduce((total, tokens) => total + count(tokens), 0);
  return {
    input: sum(({ input }) => input),
    output: sum(({ output }) => output),
    reasoning: sum(({ reasoning }) => reasoning),
    cacheRead: sum(({ cache }) => cache.read),
    cacheWrite: sum(({ cache }) => cache.write),
  };
}

/** Waits until OpenCode has failed at least once and says that it will try again. */
async function seenRetrying({ client, id }: Session): Promise<void> {
  const isRetrying = async () => (await client.session.status()).data?.[id]?.type === 'retry';
  await waitFor(isRetrying, { interval: 50, timeout: 20_000 });
}

describe('a script that OpenCode plays', () => {
  test('calls its tools in the working directory and ends, each turn asked for once', async () => {
    await using session = await openSession();
    const message = await session.prompt('[script: edit-file] Write the answer.');
    expect(message.finish).toBe('stop');
    expect(await answer()).toBe('right\n');
    expect(places()).toEqual([
      [1, 1, 1, 'finished'],
      [1, 2, 1, 'finished'],
    ]);
    expect(turns().every((entry) => entry.session === session.id)).toBe(true);
  });

  test('counts its tokens by kind, and OpenCode counts the same', async () => {
    await using session = await openSession();
    const message = await session.prompt('[script: thinks]');
    expect(await tokensOf(session)).toEqual({ input: 1100, output: 60, reasoning: 45, cacheRead: 1600, cacheWrite: 0 });
    expect(turns().reduce((total, { usage }) => total + (usage?.total ?? 0), 0)).toBe(2805);
    expect(message.cost).toBeGreaterThan(0);
  });

  test('goes on with its next round when it is prompted again', async () => {
    await using session = await openSession();
    await session.prompt('[script: repair] Write the answer.');
    expect(await answer()).toBe('wrong\n');
    await session.prompt('The tests failed.');
    expect(await answer()).toBe('right\n');
    expect(places().map(([round, turn]) => [round, turn])).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
    ]);
  });

  test('repeats its last round for as many prompts as there are', async () => {
    await using session = await openSession();
    for (const prompt of ['[script: never-green]', 'No.', 'No again.']) await session.prompt(prompt);
    expect(await answer()).toBe('wrong, try 3\n');
  });

  test('repeats its last turn until it is stopped', async () => {
    await using session = await openSession();
    const ending = session.prompt('[script: endless]');
    await waitFor(() => turns().length >= 6, { interval: 20, timeout: 20_000 });
    await session.client.session.abort({ sessionID: session.id });
    expect((await ending).error?.name).toBe('MessageAbortedError');
    expect(
      turns()
        .slice(0, 6)
        .map(({ turn }) => turn),
    ).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('is not moved on by the call for a title', async () => {
    await using session = await openSession(null);
    await session.prompt('[script: edit-file]');
    await waitFor(() => model.ledger().some(({ kind, outcome }) => kind === 'title' && outcome === 'finished'), {
      interval: 20,
      timeout: 10_000,
    });
    expect(turns()).toHaveLength(2);
  });

  test('is kept over a compaction of the session', async () => {
    await using session = await openSession();
    await session.prompt('[script: never-green]');
    await session.client.session.summarize({ sessionID: session.id, providerID: 'scripted', modelID: 'default' });
    await session.prompt('Go on.');
    expect(model.ledger().map(({ kind }) => kind)).toContain('summary');
    expect(turns().at(-1)).toMatchObject({ script: 'never-green', outcome: 'finished' });
  });

  test('goes on after a tool that the permissions deny', async () => {
    for (const script of ['question', 'env-read', 'fetches']) {
      await using session = await openSession();
      const message = await session.prompt(`[script: ${script}]`);
      expect([script, message.finish, message.error]).toEqual([script, 'stop', undefined]);
      expect(turns()).toHaveLength(2);
      model.clearLedger();
    }
  });

  test('runs shell commands that commit and that leave a process behind', async () => {
    await using session = await openSession();
    await session.prompt('[script: commits-itself]');
    expect(await repository.git('log', '--format=%s', '-1')).toBe('Answer by the agent itself');
    await using other = await openSession();
    await other.prompt('[script: daemon]');
    const left = (await processesMarked(cellMarker, opencode.marker)).filter(({ command }) => command === 'sleep 300');
    expect(left).toHaveLength(1);
  });
});

describe('a fault that OpenCode meets', () => {
  test('is told at once when it cannot pass', async () => {
    await using session = await openSession();
    const { error } = await session.prompt('[script: unauthorized]');
    expect(error).toMatchObject({ name: 'APIError', data: { statusCode: 401, isRetryable: false } });
    expect(places()).toEqual([[1, 1, 1, 'error']]);
  });

  test('is told with the reason when there is no such script, or it is over', async () => {
    await using session = await openSession();
    const unknown = await session.prompt('[script: edit-flie]');
    expect(unknown.error).toMatchObject({
      name: 'APIError',
      data: { statusCode: 400, message: expect.stringContaining('edit-file') },
    });
    await using other = await openSession();
    await other.prompt('[script: unchanged]');
    expect((await other.prompt('More.')).error?.data).toMatchObject({
      message: expect.stringContaining('has no turn 1 in round 2'),
    });
  });

  test('of a rate limit is waited out, and the turn is played', async () => {
    await using session = await openSession();
    await session.prompt('[script: rate-limited-once]');
    expect(await answer()).toBe('right\n');
    expect(places()).toEqual([
      [1, 1, 1, 'error'],
      [1, 1, 2, 'finished'],
      [1, 2, 1, 'finished'],
    ]);
    const [failed, again] = turns();
    expect((again?.at ?? 0) - (failed?.at ?? 0)).toBeGreaterThanOrEqual(1000);
  });

  test('of a broken connection is tried again with the same conversation', async () => {
    await using session = await openSession();
    await session.prompt('[script: cut-once]');
    expect(await answer()).toBe('right\n');
    expect(places()).toEqual([
      [1, 1, 1, 'cut'],
      [1, 1, 2, 'finished'],
      [1, 2, 1, 'finished'],
    ]);
    expect(turns()[0]?.fingerprint).toBe(turns()[1]?.fingerprint);
  });

  test.for(['server-error', 'silent', 'silent-before-headers'])('of %s is tried again', async (script) => {
    await using session = await openSession();
    const ending = session.prompt(`[script: ${script}]`);
    await seenRetrying(session);
    await waitFor(() => turns().length >= 2, { interval: 50, timeout: 20_000 });
    await session.client.session.abort({ sessionID: session.id });
    await ending;
    expect(turns()[0]?.outcome).toBe(script === 'server-error' ? 'error' : 'client-gone');
  });

  test('of an answer that is not JSON is an error', async () => {
    await using session = await openSession();
    const { error } = await session.prompt('[script: garbage]');
    expect(error).toMatchObject({ name: 'UnknownError', data: { message: expect.stringContaining('JSON') } });
    expect(places()).toEqual([[1, 1, 1, 'garbage']]);
  });

  test('of an answer that is cut short or empty is no error: only its finish tells', async () => {
    await using session = await openSession();
    expect(await session.prompt('[script: length]')).toMatchObject({ finish: 'length' });
    await using other = await openSession();
    const message = await other.prompt('[script: empty]');
    expect([message.error, message.finish]).toEqual([undefined, 'stop']);
  });
});
