import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import waitFor from 'p-wait-for';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseCellRequest } from '../../../src/domain/request.ts';
import { opencodeProvider, scriptedModelId } from '../../../src/scripted-model/opencode-provider.ts';
import { startScriptedModel, type ScriptedModel } from '../../../src/scripted-model/server.ts';
import { startOpencodeServer, type OpencodeServer } from '../../support/opencode-server.ts';
import { temporaryRepository, type TemporaryRepository } from '../../support/temporary-repository.ts';

const examples = fileURLToPath(new URL('../../../examples/', import.meta.url));

const demoTasks = v.strictObject({
  tasks: v.array(v.strictObject({ request: v.unknown(), expect: v.string() })),
});

const tasks = v
  .parse(demoTasks, parse(await readFile(join(examples, 'demo-tasks.yaml'), 'utf8')))
  .tasks.map((task) => ({ ...task, request: requestOf(task.request) }));

function requestOf(value: unknown) {
  const parsed = parseCellRequest(value);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.request;
}

const owned = new AsyncDisposableStack();
let model: ScriptedModel;
let opencode: OpencodeServer;
/** One for all tasks: each has files of its own. */
let repository: TemporaryRepository;

beforeAll(async () => {
  repository = owned.use(await temporaryRepository(await sampleRepository()));
  model = owned.use(await startScriptedModel({ file: join(examples, 'scripts/demo.yaml') }));
  opencode = owned.use(
    await startOpencodeServer({ ...opencodeProvider(model.url), model: scriptedModelId, permission: { '*': 'allow' } }),
  );
});
afterAll(() => owned.disposeAsync());

async function sampleRepository(): Promise<Record<string, string>> {
  const root = join(examples, 'sample-repository');
  const entries = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [relative(root, path), await readFile(path, 'utf8')] as const)),
  );
}

test.concurrent.for(tasks)('the agent of $request.taskId ends $expect', async (task, { expect }) => {
  const { request } = task;
  const passes = () => testsPass(request.testCommand ?? 'false');
  expect(await passes()).toBe(false);
  const client = opencode.client(repository.path);
  const session = await client.session.create({ title: request.taskId }, { throwOnError: true });
  const sessionID = session.data.id;
  const used = () =>
    model.ledger().reduce((sum, entry) => (entry.session === sessionID ? sum + (entry.usage?.total ?? 0) : sum), 0);
  const prompt = async (text: string) => {
    let isOver = false;
    const turn = client.session.prompt({ sessionID, parts: [{ type: 'text', text }] }).finally(() => (isOver = true));
    await waitFor(() => isOver || used() > request.tokenBudget, { interval: 50, timeout: 60_000 });
    if (!isOver) await client.session.abort({ sessionID });
    await turn;
  };
  const verdict = async () => {
    for (let round = 0; round <= request.maxRepairs; round += 1) {
      await prompt(round === 0 ? request.prompt : 'The tests failed.');
      if (used() > request.tokenBudget) return 'TokenBudgetExceeded';
      if (await passes()) return 'committed';
    }
    return 'reverted';
  };
  expect(await verdict()).toBe(task.expect);
});

async function testsPass(command: string): Promise<boolean> {
  const { exitCode } = await execa(command, { shell: true, cwd: repository.path, reject: false, stdin: 'ignore' });
  return exitCode === 0;
}

test('the demo shows a work that is committed at once, after a repair, reverted, and one that costs too much', () => {
  expect(tasks.map((task) => task.expect).toSorted()).toEqual([
    'TokenBudgetExceeded',
    'committed',
    'committed',
    'committed',
    'reverted',
  ]);
});
