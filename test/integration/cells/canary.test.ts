import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { serverPlace } from '../../../src/cell/server-place.ts';
import { type CellHandle, cellState } from '../../../src/client.ts';
import { cellMarker } from '../../../src/domain/names.ts';
import { opencodeProvider, scriptedModelId } from '../../../src/scripted-model/opencode-provider.ts';
import { startScriptedModel } from '../../../src/scripted-model/server.ts';
import { failureOf } from '../../support/endings.ts';
import { type Fleet, startFleet } from '../../support/fleet.ts';
import { type Provider, startProvider } from '../../support/gateway.ts';
import { processesMarked } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { runtimeSettings } from '../../support/test-runtime.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** One is in the environment of the worker, the other in the configuration of OpenCode. */
const canaries = ['sk-canary-1-0123456789abcdef', 'sk-canary-2-fedcba9876543210'] as const;

/** Of a machine that is busy, milliseconds. */
const patience = 400_000;

const curious = {
  rounds: [
    {
      turns: [
        {
          calls: [
            {
              tool: 'bash',
              arguments: {
                command: [
                  'env | sort > seen.txt; cat "$OPENCODE_CONFIG" >> seen.txt; touch "$HOME/looked"',
                  // Until the test has looked as well.
                  'until [ -e "$HOME/go-on" ]; do sleep 0.1; done',
                ].join('; '),
                description: 'Look around',
              },
            },
          ],
          usage: { input: 1000, output: 50 },
        },
        { text: 'That is all there is.', usage: { input: 100, output: 10 } },
      ],
    },
  ],
};

const runtimes = ['process', 'bubblewrap', 'docker'] as const;

test.each(runtimes)(
  'in %s, keys of providers reach the provider, and nothing else that is kept, shown or told',
  { timeout: 3 * patience },
  async (runtime) => {
    await using directory = await temporaryDirectory();
    await using model = await startScriptedModel({ scripts: { curious } });
    await using provider = await startProvider((request, response) => void answerAs(model.url, provider, response));
    const config = join(directory.path, 'opencode.json');
    await writeFile(config, JSON.stringify(configOf(provider.url)));
    await using stack = new AsyncDisposableStack();
    const settings = await runtimeSettings(runtime, stack);
    await using fleet = await startFleet({
      env: { ...settings, CELLS_OPENCODE_CONFIG: config, SCRIPTED_API_KEY: canaries[0] },
    });

    const [looks, refused] = [await fleet.start('curious'), await fleet.start('refused')];
    const { cellId } = await untilSpawned(fleet, looks);
    const { mark, home } = await serverPlace(fleet.stateDirectory, cellId);
    await waitUntil(async () => (await readdir(home)).includes('looked'), patience);
    const processes = await processesMarked(cellMarker, mark);
    expect(processes.length).toBeGreaterThan(1);
    const environments = await Promise.all(processes.map(({ pid }) => readOrNothing(`/proc/${pid}/environ`)));
    expect(environments.some((text) => text.includes('OPENCODE_CONFIG='))).toBe(true);
    const whileAtWork = { environments, commands: await commandLines(), files: await filesWith(fleet.stateDirectory) };
    const state = await cellState(fleet.client, looks.workflowId);
    await writeFile(join(home, 'go-on'), '');

    const result = await looks.result();
    expect(result).toMatchObject({ status: 'committed', filesModified: [{ path: 'seen.txt' }] });
    const failure = await failureOf(fleet.client, refused);
    expect(failure).toMatchObject({ type: 'ModelUnavailable', message: expect.stringContaining('Incorrect key: ***') });
    // The canaries were where they are for: what is looked for could have been found.
    expect(provider.requests.length).toBeGreaterThan(2);
    for (const { headers } of provider.requests)
      expect([headers.authorization, headers['x-team']]).toEqual([`Bearer ${canaries[0]}`, canaries[1]]);

    const kept = {
      ...whileAtWork,
      filesAfterwards: await filesWith(fleet.stateDirectory),
      objects: await objectsOf(fleet.repository.path),
      log: fleet.worker.log(),
      histories: await Promise.all([looks, refused].map((cell) => historyOf(fleet, cell))),
      told: [state, result, failure],
      metrics: await (await fetch(fleet.metricsUrl)).text(),
    };
    expect(kept.objects).toContain('OPENCODE_CONFIG=');
    expect(kept.histories.every((text) => text.includes('Incorrect key') || text.includes('seen.txt'))).toBe(true);
    for (const [where, what] of Object.entries(kept))
      for (const canary of canaries) expect(JSON.stringify(what).includes(canary), `${canary} in ${where}`).toBe(false);
  },
);

const configOf = (url: string) => {
  const { scripted } = opencodeProvider(url).provider;
  const options = { ...scripted.options, apiKey: '{env:SCRIPTED_API_KEY}', headers: { 'X-Team': canaries[1] } };
  return { provider: { scripted: { ...scripted, options } }, model: scriptedModelId };
};

/** Passes the last request on to the scripted model, or refuses it in the words of providers that repeat a key. */
async function answerAs(
  modelUrl: string,
  { requests }: Provider,
  response: Parameters<Parameters<typeof startProvider>[0]>[1],
): Promise<void> {
  const last = requests.at(-1);
  if (last === undefined) throw new Error('nothing was asked');
  const { body, headers } = last;
  if (body.includes('[script: refused]')) {
    const message = `Incorrect key: ${String(headers.authorization)} of ${String(headers['x-team'])}`;
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message, type: 'invalid_request_error' } }));
    return;
  }
  const session = headers['x-session-id'];
  const answer = await fetch(`${modelUrl}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(typeof session === 'string' ? { 'x-session-id': session } : {}),
    },
    body,
  });
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
  response.end(await answer.text());
}

async function untilSpawned(fleet: Fleet, { workflowId }: CellHandle): Promise<{ cellId: string }> {
  let cellId: string | null = null;
  await waitUntil(async () => {
    const { cell, step } = await cellState(fleet.client, workflowId);
    cellId = cell.cellId;
    return step === 'execute';
  }, patience);
  if (cellId === null) throw new Error('a cell at work has an id');
  return { cellId };
}

const readOrNothing = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');

/** Of every process of the machine, as anybody sees them. */
async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return await Promise.all(pids.map((pid) => readOrNothing(`/proc/${pid}/cmdline`)));
}

/** Everything in the state directory: leases, homes, worktrees, artifacts, accounts, logs. The lines in which a canary stands. */
async function filesWith(directory: string): Promise<string> {
  const patterns = canaries.flatMap((canary) => ['-e', canary]);
  return await new Promise((resolve, reject) => {
    execFile('grep', ['-raFs', ...patterns, directory], (error, found) => {
      // Without any it ends with 1, and with 2 where a file went away meanwhile.
      if (error && typeof error.code !== 'number') reject(error);
      else resolve(found);
    });
  });
}

/** Every object of a repository, also what no branch holds. */
async function objectsOf(repository: string): Promise<string> {
  const options = { maxBuffer: 64 * 1024 * 1024 };
  const words = ['-C', repository, 'cat-file', '--batch-all-objects', '--batch'];
  return (await promisify(execFile)('git', words, options)).stdout;
}

/** The whole history of a cell, with what is in its payloads. */
async function historyOf({ client }: Fleet, { workflowId }: CellHandle): Promise<string> {
  const history = await client.workflow.getHandle(workflowId).fetchHistory();
  // Bytes are in base64 there, as they are in what the Web UI and the command of Temporal export.
  return JSON.stringify(history, (name, value: unknown) =>
    name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
  );
}
